"""A real pgbouncer in front of a PostgreSQL server of the tests; as a program, installs it where that can be done."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from app.supervisor.broker import free_port
from tests.console.chromium import apt_get
from tests.postgresql import DEADLINE, NOBODY, ROLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgresql import PostgreSQL

REMEDY = "install it (Debian: apt install pgbouncer), or let PGBOUNCER name its program"
_CONFIGURATION = """\
[databases]
* = host={folder}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = 10
logfile = {folder}/pgbouncer-{mode}.log
pidfile =
"""


def find_pgbouncer() -> str | None:
    """The program: what `PGBOUNCER` names, else the one that this machine has."""
    places = [named] if (named := os.environ.get("PGBOUNCER")) else ["pgbouncer", "/usr/sbin/pgbouncer"]
    return next((found for place in places if (found := shutil.which(place))), None)


def is_required() -> bool:
    """Whether tests fail without it: continuous integration says so; others may leave them out."""
    return os.environ.get("POOLER_TESTS") == "required"


@contextmanager
def running_pgbouncer(server: PostgreSQL, database: str, mode: str) -> Iterator[str]:
    """Run one inside the block that pools in this mode; gives the URL of the database through it."""
    program, port = find_pgbouncer(), free_port()
    if program is None:
        if is_required():
            pytest.fail(f"there is no pgbouncer: {REMEDY}")
        pytest.skip(f"there is no pgbouncer: {REMEDY}")
    configuration = server.folder / f"pgbouncer-{mode}.ini"
    (server.folder / "users").write_text(f'"{ROLE}" ""\n')
    configuration.write_text(_CONFIGURATION.format(folder=server.folder, port=port, mode=mode))
    process = subprocess.Popen([program, "-q", str(configuration)], stderr=subprocess.DEVNULL, **NOBODY)
    try:
        _wait_for(port, process)
        yield f"postgresql://{ROLE}@127.0.0.1:{port}/{database}"
    finally:
        process.terminate()
        process.wait(DEADLINE)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + DEADLINE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, f"pgbouncer ended with status {process.returncode}"
            assert time.monotonic() < until, "pgbouncer does not listen"
            time.sleep(0.01)
        else:
            return


def main() -> int:
    """Install Debian's package where that can be done; returns the exit status, 0 where tests may be left out."""
    if find_pgbouncer():
        return 0
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing the package pgbouncer, which tests on PostgreSQL speak to (once) ...", flush=True)
        apt_get("update")
        # Not its service: the tests start one of their own.
        apt_get("install", "--yes", "--no-install-recommends", "pgbouncer")
    if find_pgbouncer():
        return 0
    needed = "need it" if is_required() else "are left out"
    print(f"This machine has no pgbouncer, and tests {needed}: {REMEDY}", file=sys.stderr)
    return 1 if is_required() else 0


if __name__ == "__main__":
    sys.exit(main())
