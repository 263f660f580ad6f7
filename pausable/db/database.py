"""One database, SQLite or PostgreSQL: its connections, its read and write transactions, and what its errors mean."""

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

import psycopg
from sqlalchemy import Connection as Connection
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, PendingRollbackError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from pausable.db.postgresql import begin_reading, begin_writing, is_gone, is_read_only, postgresql_engine
from pausable.db.write_lock import NoQueue, WriteLock
from pausable.texts import storable_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pausable.db.write_lock import Queue

try:  # its wheels bundle a SQLite without the WAL-reset fault of 3.7.0 to 3.51.2 (sqlite.org/wal.html#walresetbug)
    import pysqlite3.dbapi2 as sqlite
except ImportError:  # no wheel for this platform
    import sqlite3 as sqlite

Synchronous = Literal["FULL", "NORMAL"]

#: What SQLite's driver raises when a prepared statement, or a transaction of its own, fails.
DriverError: type[Exception] = sqlite.Error

#: Writers queue at the file lock; this is for what writes without it, such as `sqlite3` on a terminal (milliseconds).
_BUSY_TIMEOUT: Final = 5000
#: Seconds that a fork waits for a transaction of another thread to end.
_FORK_WAITS: Final = 5.0


@dataclass(eq=False)
class _Own:
    """What belongs to one thread; `busy` is held while its connection is in use, so that a fork waits for that."""

    queue: Queue
    connection: Connection | None = None
    busy: threading.RLock = field(default_factory=threading.RLock)


def sqlite_file(url: str) -> Path | None:
    """Return the file that an SQLite URL names, or None if the URL is PostgreSQL's. All who want to know ask here."""
    if not url.startswith("sqlite:"):
        return None
    return Path(make_url(url).database or "")


class Database:
    """The store's door: gives each thread a connection of its own and wraps its statements in transactions."""

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
        """Run a transaction that only reads, and sees one moment of the database throughout."""
        with self._in_use(self._own()) as connection:
            if not self.is_sqlite:
                begin_reading(_raw(connection))
            with connection.begin():
                if self.is_sqlite:
                    _raw(connection).execute("BEGIN")
                yield connection

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """Run a single statement that only reads: cheaper than `read`, without a moment that several could share."""
        with self._in_use(self._own()) as connection:
            try:
                yield connection
            finally:
                if connection.in_transaction():  # SQLAlchemy began one by itself, unless the statement is prepared
                    connection.rollback()

    @contextmanager
    def write(self, *, survives_power_cut: bool = True) -> Iterator[Connection]:
        """Run a transaction that writes: committed at the end of the block, rolled back by an exception.

        One that need not survive a power cut is not waited for until it is on the disk; the next one that is, is behind
        it. Only SQLite makes that difference.
        """
        own = self._own()
        if own.connection is None:
            with self._in_use(own):
                pass  # opened before the queue: a new file turns its write-ahead log on in a queue of its own
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
        """Commit as the settings say, or, for a transaction that may be lost with the power, without waiting."""
        if always or not self.is_sqlite or self._synchronous == "NORMAL":
            yield
            return
        _raw(connection).execute("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            _raw(connection).execute(f"PRAGMA synchronous = {self._synchronous}")

    def engine(self) -> Engine:
        """This process's engine; migrations run on it, everything else asks for a transaction."""
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
        """Close this thread's connection if more threads than so many have one."""
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
            if connection is not None and not self._lives(connection):
                own.connection = None  # first: while the server is away, the next line to connect raises
                connection.close()
            if own.connection is None:
                own.connection = self.engine().connect()
            try:
                yield own.connection
            except Exception as fault:
                if is_read_only(getattr(fault, "orig", fault)):
                    self._part_from(own)
                raise

    def _part_from(self, own: _Own) -> None:
        """Connect anew next time: of several servers, another may be the one that takes writes by then."""
        connection, own.connection = own.connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _lives(self, connection: Connection) -> bool:
        """Whether the server, which may have been restarted, still knows the connection."""
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
        """Close every connection to an SQLite file; returns those whose threads are kept from opening another.

        SQLite keeps the locks of a process in that process's memory. A child that inherited them would believe that it
        holds locks which only its parent holds, and once its parent closes the file, others take away the write-ahead
        log under the child's hands: what it commits then is lost (sqlite.org/howtocorrupt.html, 2.6).
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
        """Start anew after a fork. The parent's connections are kept from being closed: they are still the parent's."""
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
            # The driver must not begin transactions by itself: it begins them deferred, and a deferred transaction
            # that turns to writing fails at once when another writes, whatever the busy timeout.
            connection.isolation_level = None
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT}")
            self._write_ahead(connection)
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute("PRAGMA foreign_keys = ON")

        return engine

    def _write_ahead(self, connection: Any) -> None:
        """Turn the write-ahead log on, once for each file: the change itself does not heed the busy timeout."""
        if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            return
        queue = self._queue()
        with queue:
            connection.execute("PRAGMA journal_mode = WAL")
        queue.close()


def _make_storable(_tx: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
    """Let no text reach the driver that a database cannot hold, wherever it comes from."""
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
    """Whether the database refused a row because its key is taken."""
    return isinstance(error, IntegrityError)


def is_unknown_reference(error: BaseException) -> bool:
    """Whether the database refused a row because another one that it names is not there."""
    driver = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(driver, psycopg.errors.ForeignKeyViolation):
        return True
    return isinstance(driver, DriverError) and "FOREIGN KEY" in str(driver)


def once(find: Callable[[], T | None], make: Callable[[], tuple[T, bool]]) -> tuple[T, bool]:
    """What is found, or else is made; False with it when it was there, as `make` too may find.

    Of two that make the same at once the database lets one in: the other is given what that one has made.
    """
    if (known := find()) is not None:
        return known, False
    try:
        return make()
    except Exception as fault:
        if not is_taken(fault) or (known := find()) is None:
            raise
        return known, False


def is_of_the_database(error: BaseException) -> bool:
    """Whether the database, or the way to it, failed: a transaction may be committed all the same."""
    return isinstance(error, (SQLAlchemyError, DriverError, psycopg.Error))


#: The errors among which are those of a database that is locked or gone; `is_outage` tells which.
OF_AN_OUTAGE: Final[tuple[type[Exception], ...]] = (DBAPIError, PendingRollbackError, DriverError, psycopg.Error)

#: What SQLite says then; its other errors under the same class, such as a missing column, are faults of ours.
_SQLITE_SAYS: Final = ("locked", "busy", "unable to open", "disk I/O", "disk is full", "readonly", "not a database")

#: What PostgreSQL raises then, also to one who had stopped inside a transaction, and while it is still a standby.
#: Among the operational errors are the classes 08 (connection), 40 (deadlock, serialization), 53 (resources), 55 (lock)
#: and 57 (shutdown, start, cancelled statements).
_POSTGRESQL_RAISES: Final[tuple[type[Exception], ...]] = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
    psycopg.errors.ReadOnlySqlTransaction,
)
#: What psycopg raises by itself, without a state of the server's, where the protocol broke off.
_OF_THE_PROTOCOL: Final = frozenset({psycopg.Error, psycopg.DatabaseError, psycopg.InternalError})


def is_outage(error: BaseException) -> bool:
    """Whether the database is locked for longer than one waits, full or gone: the same request may succeed later."""
    if isinstance(error, PendingRollbackError):  # its connection broke inside a transaction
        return True
    driver = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(driver, DriverError):
        return any(words in str(driver) for words in _SQLITE_SAYS)
    if not isinstance(driver, psycopg.Error):
        return False
    is_of_the_protocol = driver.sqlstate is None and type(driver) in _OF_THE_PROTOCOL
    return isinstance(driver, _POSTGRESQL_RAISES) or is_read_only(driver) or is_of_the_protocol


def words_of_outage(error: BaseException) -> str | None:
    """Return what is wrong with the database, where people can do something about that."""
    driver = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(driver, DriverError):
        told = str(driver)
        if "disk is full" in told:
            return "its disk is full"
        return "it is read-only" if "readonly" in told else None
    if isinstance(driver, psycopg.errors.DiskFull):
        return "its disk is full"
    return "it is read-only, as a standby is" if is_read_only(driver) else None


#: Seconds before the first repetition and, doubled each time, at the most.
_FIRST, _LONGEST = 0.05, 2.0

_log: Final = logging.getLogger(__name__)


def retry_outages(action: Callable[[], T]) -> T:
    """Do it until the database lets it through; whatever else it raises is raised.

    There is no last time: nothing else can be done either while the database is out of reach, and a worker that is to
    end meanwhile is ended by its grace.
    """
    wait = _FIRST
    while True:
        try:
            return action()
        except Exception as fault:
            if not is_outage(fault):
                raise
            _log.warning("the database is out of reach, trying again: %s", type(fault).__name__)
        time.sleep(wait)
        wait = min(wait * 2, _LONGEST)


@contextmanager
def isolate(operation_id: int, what: str) -> Iterator[None]:
    """Log what is raised inside the block, and go on behind it; an outage concerns all operations, and is raised.

    Args:
        operation_id: The operation that the block is about.
        what: What is done inside the block, in words that follow "of operation 7,".
    """
    try:
        yield
    except Exception as fault:
        if is_outage(fault):
            raise
        _log.exception("of operation %s, %s failed", operation_id, what)
