"""The command `pausable`: `pausable run` starts the service on this machine, the others are those of `flask`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Do what the command line asks for; end with its exit status."""
    sys.path.insert(0, os.getcwd())  # workflows are found from the folder that one is in, as with `python -m`
    try:
        from .command import pausable
    except ModuleNotFoundError as missing:
        sys.exit(f"The service needs {missing.name}, which is not installed: pip install 'pausable[service]'")
    pausable()


if __name__ == "__main__":
    main()
