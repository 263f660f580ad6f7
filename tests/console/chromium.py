"""Finds the browser that the tests of the console run in; as a program, installs it where that can be done."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ON_MACOS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
REMEDY = (
    "install it (Debian: apt install chromium; macOS: brew install --cask chromium), or let CHROMIUM name its program"
)


def find_chromium() -> str | None:
    """The program: what `CHROMIUM` names, else the first that this machine has."""
    named = os.environ.get("CHROMIUM")
    places = (named,) if named else (*NAMES, *ON_MACOS)
    return next((found for place in places if (found := shutil.which(place))), None)


def is_required() -> bool:
    """Whether tests fail without a browser: continuous integration says so; others may leave them out."""
    return os.environ.get("BROWSER_TESTS") == "required"


def lacking() -> str:
    """What is said where there is none."""
    named = os.environ.get("CHROMIUM")
    lack = f"CHROMIUM names {named}, which is no program" if named else "this machine has no Chromium"
    return f"{lack}: {REMEDY}"


def install() -> str:
    """Install Debian's package; the answer is the reason why there is no browser yet, or nothing.

    The package depends on a font, so that text is drawn on a machine that has nothing else.
    """
    if os.geteuid() or not shutil.which("apt-get"):
        return lacking()
    print("Installing the package chromium, which the tests of the console run in (once) ...", flush=True)
    apt_get("update")  # a host that does not answer need not be the one that is asked next
    failed = apt_get("install", "--yes", "--no-install-recommends", "chromium")
    return "" if find_chromium() else f"{lacking()} (apt-get: {failed or 'it brought none'})"


def apt_get(*arguments: str) -> str:
    """Run it; the answer is what it says was wrong, in one line."""
    command = ["apt-get", "--quiet=2", "--option", "DPkg::Lock::Timeout=120", *arguments]
    unasked = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=unasked, capture_output=True, text=True, check=False)
    return " ".join(done.stderr.split()) if done.returncode else ""


def main() -> int:
    """Say in one line what is missing; returns the exit status, which is 0 where tests may be left out."""
    reason = "" if find_chromium() else lacking() if os.environ.get("CHROMIUM") else install()
    if not reason:
        return 0
    print(f"Tests of the console {'need a browser' if is_required() else 'are left out'}: {reason}", file=sys.stderr)
    return 1 if is_required() else 0


if __name__ == "__main__":
    sys.exit(main())
