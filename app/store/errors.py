"""What the database's own errors mean."""

from __future__ import annotations

import psycopg
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from app.store.database import DriverError


def is_taken(error: BaseException) -> bool:
    """Whether the database refused a row because its key is taken."""
    return isinstance(error, IntegrityError)


def is_of_the_database(error: BaseException) -> bool:
    """Whether the database, or the way to it, failed: a transaction may be committed all the same."""
    return isinstance(error, (SQLAlchemyError, DriverError, psycopg.Error))
