"""`python -m app.supervisor`: the whole service on this machine until Ctrl-C; with `prepare` only what comes before."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import TYPE_CHECKING

from pausable.config import read_settings
from pausable.db.files import lock_folder
from pausable.db.migrations import upgrade
from pausable.db.users import first_user
from pausable.errors import DatabaseTooNew, ReferencesBroken

from .broker import prepare_broker
from .checks import faults_of
from .supervision import announcement, programs_of, say_as_json, supervise, token_sentence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pausable.config import Settings

_STARTED, _NOT_STARTED, _INTERRUPTED = 0, 2, 130


def main(arguments: Sequence[str] | None = None, name: str = "python -m app.supervisor") -> int:
    """Check the settings, prepare the database, run until asked to stop; return the exit status."""
    parser = ArgumentParser(prog=name, description="Run the service on this machine.")
    parser.add_argument("only", nargs="?", choices=["prepare"], help="lay the database and the first user, then end")
    only_prepare = parser.parse_args(arguments).only == "prepare"
    settings, wrong = read_settings()
    looked_at = {*wrong, "PORT"} if only_prepare else {*wrong}
    if faults := [*wrong.values(), *faults_of(settings, looked_at)]:
        return _refuse(faults)
    return _prepare(settings) if only_prepare else _run_alone(settings)


def _prepare(settings: Settings) -> int:
    try:
        print(token_sentence(_lay(settings)))
    except (DatabaseTooNew, ReferencesBroken, OSError) as fault:
        return _refuse([str(fault)])
    return _STARTED


def _run_alone(settings: Settings) -> int:
    with lock_folder(settings.data_dir) as alone:
        if alone:
            return _run(settings)
    return _refuse([f"DATA_DIR {settings.data_dir} is in use by a service that runs: stop it, or set DATA_DIR."])


def _run(settings: Settings) -> int:
    try:
        token = _lay(settings)
    except (DatabaseTooNew, ReferencesBroken, OSError) as fault:
        return _refuse([str(fault)])
    embedded = None if settings.broker_url else prepare_broker(settings.data_dir)
    told = announcement(settings, token)
    if settings.log_format == "json":
        return supervise(programs_of(settings, embedded), lambda: say_as_json("run", told), say_as_json)
    return supervise(programs_of(settings, embedded), lambda: print(told, flush=True))


def _lay(settings: Settings) -> Path | None:
    """Migrate the database and create the first user; return the file of their token, if it is kept."""
    upgrade(settings)
    return first_user(settings)


def _refuse(faults: list[str]) -> int:
    print("The service was not started:", *faults, sep="\n  ", file=sys.stderr)
    return _NOT_STARTED


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before anything was started; later the supervision handles signals
        sys.exit(_INTERRUPTED)
