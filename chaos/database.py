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


@dataclass
class Server:
    """A PostgreSQL server of the run's own. Whatever is done to it returns what takes it back.

    While it is locked, killed, stopped or a standby, nothing more is done to it: OSError.
    """

    server: PostgreSQL
    url: str
    _is_broken: bool = False

    def lock(self) -> Lift:
        """Lock the table in which workers enter themselves, from another session."""
        self._refuse_if_broken()
        session = psycopg.connect(self.url)
        session.execute("SET idle_in_transaction_session_timeout = 0")
        session.execute("LOCK TABLE workers IN ACCESS EXCLUSIVE MODE")

        return self._broken(session.close)

    def kill(self) -> Lift:
        """Kill the server at once, as a power cut of its machine does."""
        self._refuse_if_broken()
        self.server.stop(signal.SIGQUIT)
        return self._broken(self.server.start)

    def freeze(self) -> Lift:
        """Stop the server and all its sessions, so that nobody is answered."""
        self._refuse_if_broken()
        stopped = self.server.pids()
        for pid in stopped:
            _signal(pid, signal.SIGSTOP)

        def lift() -> None:
            for pid in stopped:
                _signal(pid, signal.SIGCONT)

        return self._broken(lift)

    def fail_over(self) -> Lift:
        """Kill the server, and let it come back as a standby that only reads; what takes that back promotes it.

        A default of `default_transaction_read_only` would not do: the service asks for transactions that write.
        """
        self._refuse_if_broken()
        self.server.stop(signal.SIGQUIT)
        (self.server.folder / "data" / "standby.signal").touch()
        self.server.start()
        return self._broken(lambda: self.server.ask("SELECT pg_promote()"))

    def end_sessions(self) -> None:
        """End every session of the service, as a proxy or an administrator does."""
        self._refuse_if_broken()
        self.server.ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'chaos'")

    def _refuse_if_broken(self) -> None:
        if self._is_broken:
            raise OSError("something is done to the server already")

    def _broken(self, lift: Callable[[], object]) -> Lift:
        self._is_broken = True

        def whole() -> None:
            lift()
            self._is_broken = False

        return whole


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


@contextmanager
def postgresql() -> Iterator[Server]:
    """Run a server of one's own, with an empty database."""
    with running_postgresql() as server:
        yield Server(server, server.create("chaos"))
