"""One database, SQLite or PostgreSQL: connections, read and write transactions, and the meaning of errors."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from sqlalchemy import Connection as Connection
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, PendingRollbackError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from pausable.db.drivers import psycopg
from pausable.db.postgresql import begin_reading, begin_writing, is_gone, is_read_only, postgresql_engine
from pausable.db.write_lock import NoQueue, WriteLock
from pausable.texts import storable_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pausable.db.write_lock import Queue

try:  # its wheels bundle an SQLite without the WAL-reset bug of 3.7.0 to 3.51.2 (sqlite.org/wal.html#walresetbug)
    import pysqlite3.dbapi2 as sqlite
except ImportError:  # no wheel for this platform
    import sqlite3 as sqlite

Synchronous = Literal["FULL", "NORMAL"]

#: Raised by SQLite's driver for prepared statements and for its own transactions.
DriverError: type[Exception] = sqlite.Error

#: Milliseconds. Our writers queue at the file lock; this is for other programs, such as `sqlite3` in a terminal.
_BUSY_TIMEOUT: Final = 5000
#: Seconds that a fork waits for another thread's transaction to end.
_FORK_WAITS: Final = 5.0


@dataclass(eq=False)
class _Own:
    """The connection of one thread; `busy` is held while it is in use, so that a fork waits for it."""

    queue: Queue
    connection: Connection | None = None
    busy: threading.RLock = field(default_factory=threading.RLock)


def sqlite_file(url: str) -> Path | None:
    """Return the file of an SQLite URL; None for a PostgreSQL URL."""
    if not url.startswith("sqlite:"):
        return None
    return Path(make_url(url).database or "")


class Database:
    """A database: one connection per thread, used in transactions."""

    def __init__(self, url: str, *, synchronous: Synchronous = "FULL") -> None:
        self.url: Final = url
        self.file: Final = sqlite_file(url)
        self.is_sqlite: Final = self.file is not None
        self._synchronous: Final = synchronous
        self._mine = threading.local()
        self._all: weakref.WeakSet[_Own] = weakref.WeakSet()
        self._counting = threading.Lock()
        self._locks: weakref.WeakSet[WriteLock] = weakref.WeakSet()
        self._engine: Engine | None = None
        _databases.add(self)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Begin a read-only transaction on one snapshot of the database."""
        with self._in_use(self._own()) as connection:
            if not self.is_sqlite:
                begin_reading(_raw(connection))
            with connection.begin():
                if self.is_sqlite:
                    _raw(connection).execute("BEGIN")
                yield connection

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """Run a single read-only statement; cheaper than `read`, without a snapshot shared by several statements."""
        with self._in_use(self._own()) as connection:
            try:
                yield connection
            finally:
                if connection.in_transaction():  # SQLAlchemy began one, unless the statement is prepared
                    connection.rollback()

    @contextmanager
    def write(self, *, survives_power_cut: bool = True) -> Iterator[Connection]:
        """Begin a writing transaction: commit at the end of the block, roll back on an exception.

        With `survives_power_cut=False`, SQLite does not wait for the disk: the commit is durable with the next one that
        does. PostgreSQL makes no difference.
        """
        own = self._own()
        if own.connection is None:
            with self._in_use(own):
                pass  # connect before queueing: enabling the write-ahead log of a new file takes the queue itself
        always = survives_power_cut
        with own.queue, self._in_use(own) as connection, self._synced(connection, always=always):
            if not self.is_sqlite:
                begin_writing(_raw(connection))
            with connection.begin():
                if self.is_sqlite:
                    _raw(connection).execute("BEGIN IMMEDIATE")
                yield connection

    @contextmanager
    def _synced(self, connection: Connection, *, always: bool) -> Iterator[None]:
        """Commit with the configured durability, or without waiting for the disk."""
        if always or not self.is_sqlite or self._synchronous == "NORMAL":
            yield
            return
        _raw(connection).execute("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            _raw(connection).execute(f"PRAGMA synchronous = {self._synchronous}")

    def engine(self) -> Engine:
        """Return the SQLAlchemy engine of this process; only migrations use it directly."""
        if self._engine is None:
            self._engine = self._sqlite_engine() if self.is_sqlite else postgresql_engine(self.url)
            event.listen(self._engine, "before_cursor_execute", _make_storable, retval=True)
        return self._engine

    def close(self) -> None:
        """Close this thread's connection; its next transaction opens another."""
        own: _Own | None = self._mine.__dict__.pop("own", None)
        if own:
            with self._counting:
                self._all.discard(own)
            own.queue.close()
            if own.connection:
                own.connection.close()

    def close_beyond(self, most: int) -> None:
        """Close this thread's connection if more than `most` threads have one."""
        if len(self._all) > most:
            self.close()

    def _own(self) -> _Own:
        own: _Own | None = self._mine.__dict__.get("own")
        if own is None:
            own = self._mine.own = _Own(self._queue())
            with self._counting:
                self._all.add(own)
        return own

    @contextmanager
    def _in_use(self, own: _Own) -> Iterator[Connection]:
        with own.busy:
            connection = own.connection
            if connection is not None and not self._is_alive(connection):
                own.connection = None  # clear it first: while the server is down, the next connect raises
                connection.close()
            if own.connection is None:
                own.connection = self.engine().connect()
            try:
                yield own.connection
            except Exception as fault:
                if is_read_only(getattr(fault, "orig", fault)):
                    self._reconnect_later(own)
                raise

    def _reconnect_later(self, own: _Own) -> None:
        """Reconnect next time: of several servers, another may be the primary by then."""
        connection, own.connection = own.connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _is_alive(self, connection: Connection) -> bool:
        """Return whether the server still knows the connection; it may have been restarted."""
        if self.is_sqlite:
            return True
        if not connection.invalidated and is_gone(_raw(connection)):
            connection.invalidate()
        return not connection.invalidated

    def _queue(self) -> Queue:
        if self.file is None:
            return NoQueue()
        lock = WriteLock(f"{self.file}.lock")
        self._locks.add(lock)
        return lock

    def _rest(self) -> list[_Own]:
        """Close every connection to an SQLite file; return those whose threads must not open another yet.

        SQLite keeps the locks of a process in its memory. A forked child would believe that it holds the parent's
        locks; once the parent closes the file, others remove the write-ahead log that the child writes to, and its
        commits are lost (sqlite.org/howtocorrupt.html, 2.6).
        """
        with self._counting:
            everyone = list(self._all)
        resting = [own for own in everyone if self.is_sqlite and own.busy.acquire(timeout=_FORK_WAITS)]
        for own in resting:
            if own.connection and not own.connection.in_transaction():
                own.connection.close()
                own.connection = None
        return resting

    def _forget(self) -> None:
        """Start anew after a fork, without closing the connections, which belong to the parent."""
        self._inherited = (self._engine, list(self._all))
        self._engine = None
        self._mine = threading.local()
        self._all = weakref.WeakSet()
        self._counting = threading.Lock()
        for lock in self._locks:
            lock.close()
        self._locks.clear()

    def _sqlite_engine(self) -> Engine:
        engine = create_engine(self.url, module=sqlite, poolclass=NullPool, connect_args={"check_same_thread": False})

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, _record: object) -> None:
            # The driver must not begin transactions: it begins deferred ones, which fail at once, whatever the busy
            # timeout, when they turn to writing while another connection writes.
            connection.isolation_level = None
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT}")
            self._write_ahead(connection)
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute("PRAGMA foreign_keys = ON")

        return engine

    def _write_ahead(self, connection: Any) -> None:
        """Enable the write-ahead log once per file: this change ignores the busy timeout."""
        if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            return
        queue = self._queue()
        with queue:
            connection.execute("PRAGMA journal_mode = WAL")
        queue.close()


def _make_storable(_tx: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
    """Replace characters in parameters that a database cannot store."""
    return statement, storable_parts(parameters)


def _raw(connection: Connection) -> Any:
    return connection.connection.driver_connection


_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_resting: list[_Own] = []


def _rest_all() -> None:
    for database in _databases:
        _resting.extend(database._rest())


def _wake_all() -> None:
    while _resting:
        _resting.pop().busy.release()


def _forget_all() -> None:
    _resting.clear()
    for database in _databases:
        database._forget()


os.register_at_fork(before=_rest_all, after_in_parent=_wake_all, after_in_child=_forget_all)


T = TypeVar("T")


def is_taken(error: BaseException) -> bool:
    """Return whether the database refused a row because its key exists."""
    return isinstance(error, IntegrityError)


def is_unknown_reference(error: BaseException) -> bool:
    """Return whether the database refused a row because a referenced row does not exist."""
    driver = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(driver, psycopg.errors.ForeignKeyViolation):
        return True
    return isinstance(driver, DriverError) and "FOREIGN KEY" in str(driver)


def once(find: Callable[[], T | None], make: Callable[[], tuple[T, bool]]) -> tuple[T, bool]:
    """Return what `find` returns, or else what `make` creates, and whether it was created.

    If two callers create the same row at once, the database accepts one, and both get that row.
    """
    if (known := find()) is not None:
        return known, False
    try:
        return make()
    except Exception as fault:
        if not is_taken(fault) or (known := find()) is None:
            raise
        return known, False


def is_database_error(error: BaseException) -> bool:
    """Return whether the database or the connection failed; the transaction may have been committed."""
    return isinstance(error, (SQLAlchemyError, DriverError, psycopg.Error))


#: Exceptions that include those of a locked or unreachable database; `is_outage` decides.
OF_AN_OUTAGE: Final[tuple[type[Exception], ...]] = (DBAPIError, PendingRollbackError, DriverError, psycopg.Error)

#: SQLite's messages for outages; other errors of the same class, such as a missing column, are bugs.
_SQLITE_SAYS: Final = ("locked", "busy", "unable to open", "disk I/O", "disk is full", "readonly", "not a database")

#: PostgreSQL's exceptions for outages, including a session ended inside a transaction and a standby. OperationalError
#: covers the classes 08 (connection), 40 (deadlock, serialization), 53 (resources), 55 (lock) and 57 (shutdown,
#: startup, cancelled statements).
_POSTGRESQL_RAISES: Final[tuple[type[Exception], ...]] = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
    psycopg.errors.ReadOnlySqlTransaction,
)
#: Raised by psycopg itself, without an SQLSTATE, when the protocol breaks off.
_OF_THE_PROTOCOL: Final = frozenset({psycopg.Error, psycopg.DatabaseError, psycopg.InternalError})


def is_outage(error: BaseException) -> bool:
    """Return whether the database is locked too long, full or unreachable, so that a retry may succeed."""
    if isinstance(error, PendingRollbackError):  # the connection broke inside a transaction
        return True
    driver = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(driver, DriverError):
        return any(words in str(driver) for words in _SQLITE_SAYS)
    if not isinstance(driver, psycopg.Error):
        return False
    is_of_the_protocol = driver.sqlstate is None and type(driver) in _OF_THE_PROTOCOL
    return isinstance(driver, _POSTGRESQL_RAISES) or is_read_only(driver) or is_of_the_protocol


def describe_outage(error: BaseException) -> str | None:
    """Return what is wrong with the database if people can fix it; None otherwise."""
    driver = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(driver, DriverError):
        told = str(driver)
        if "disk is full" in told:
            return "its disk is full"
        return "it is read-only" if "readonly" in told else None
    if isinstance(driver, psycopg.errors.DiskFull):
        return "its disk is full"
    return "it is read-only, as a standby is" if is_read_only(driver) else None


#: Seconds before the first retry (doubled for each further one), and the maximum.
_FIRST, _LONGEST = 0.05, 2.0

_log: Final = logging.getLogger(__name__)


def retry_outages(action: Callable[[], T]) -> T:
    """Retry the action until the database accepts it; other exceptions are raised.

    There is no last attempt: nothing else can be done while the database is unreachable, and a worker that has to end
    meanwhile is ended by its grace period.
    """
    wait = _FIRST
    while True:
        try:
            return action()
        except Exception as fault:
            if not is_outage(fault):
                raise
            _log.warning("the database cannot be reached, retrying: %s", type(fault).__name__)
        time.sleep(wait)
        wait = min(wait * 2, _LONGEST)


@contextmanager
def isolate(operation_id: int, what: str) -> Iterator[None]:
    """Log exceptions of the block and continue after it; an outage concerns all operations and is raised.

    Args:
        operation_id: The operation that the block is about.
        what: What the block does, as the subject of "failed".
    """
    try:
        yield
    except Exception as fault:
        if is_outage(fault):
            raise
        _log.exception("%s of operation %s failed", what, operation_id)
