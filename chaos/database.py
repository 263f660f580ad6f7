"""The database under chaos: locked by somebody else, killed, stopped, or read-only, and whole again later."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from tests.postgresql import PostgreSQL, running_postgresql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Lift = Callable[[], None]


@dataclass(frozen=True)
class SQLite:
    """A file, in the folder of the service's data. Whatever is done to it returns what takes it back."""

    file: Path
    url: str | None = None

    def lock(self) -> Lift:
        """Hold the write lock from another program's connection."""
        connection = sqlite3.connect(self.file, isolation_level=None, timeout=5.0, check_same_thread=False)
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            connection.close()
            raise

        def lift() -> None:
            with closing(connection):
                connection.execute("ROLLBACK")

        return lift


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server of the run's own. Whatever is done to it returns what takes it back."""

    server: PostgreSQL
    url: str

    def lock(self) -> Lift:
        """Lock the table in which workers enter themselves, from another session."""
        session = psycopg.connect(self.url)
        session.execute("SET idle_in_transaction_session_timeout = 0")
        session.execute("LOCK TABLE workers IN ACCESS EXCLUSIVE MODE")

        def lift() -> None:
            session.close()

        return lift

    def kill(self) -> Lift:
        """Kill the server at once, as a power cut of its machine does."""
        self.server.stop(signal.SIGQUIT)
        return self.server.start

    def freeze(self) -> Lift:
        """Stop the server and all its sessions, so that nobody is answered."""
        stopped = self.server.pids()
        for pid in stopped:
            _signal(pid, signal.SIGSTOP)

        def lift() -> None:
            for pid in stopped:
                _signal(pid, signal.SIGCONT)

        return lift

    def make_read_only(self) -> Lift:
        """Let every session only read, as on a standby that has not been promoted."""
        self._set("ALTER SYSTEM SET default_transaction_read_only = on")
        return lambda: self._set("ALTER SYSTEM RESET default_transaction_read_only")

    def _set(self, statement: str) -> None:
        self.server.run(statement)
        self.server.ask("SELECT pg_reload_conf()")


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


@contextmanager
def postgresql() -> Iterator[Server]:
    """Run a server of one's own, with an empty database."""
    with running_postgresql() as server:
        yield Server(server, server.create("chaos"))
