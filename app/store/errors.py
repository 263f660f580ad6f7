"""What the database's own errors mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import psycopg
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from app.store.database import DriverError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def is_taken(error: BaseException) -> bool:
    """Whether the database refused a row because its key is taken."""
    return isinstance(error, IntegrityError)


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
OF_AN_OUTAGE: Final[tuple[type[Exception], ...]] = (DBAPIError, DriverError, psycopg.Error)

#: What SQLite says then; its other errors under the same class, such as a missing column, are faults of ours.
_SQLITE_SAYS: Final = ("locked", "busy", "unable to open", "disk I/O", "disk is full", "readonly", "not a database")

#: What PostgreSQL raises then, also to one who had stopped inside a transaction, and while it is still a standby.
_POSTGRESQL_RAISES: Final[tuple[type[Exception], ...]] = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
    psycopg.errors.ReadOnlySqlTransaction,
)


def is_outage(error: BaseException) -> bool:
    """Whether the database is locked for longer than one waits, full or gone: the same request may succeed later."""
    driver = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(driver, DriverError):
        return any(words in str(driver) for words in _SQLITE_SAYS)
    return isinstance(driver, _POSTGRESQL_RAISES)
