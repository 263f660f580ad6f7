"""What the database's own errors mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import psycopg
from sqlalchemy.exc import DBAPIError, IntegrityError, PendingRollbackError, SQLAlchemyError

from app.store.database import DriverError
from app.store.postgresql import is_read_only

if TYPE_CHECKING:
    from collections.abc import Callable

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
