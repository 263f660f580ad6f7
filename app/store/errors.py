"""What the database's own errors mean."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError


def is_taken(error: BaseException) -> bool:
    """Whether the database refused a row because its key is taken."""
    return isinstance(error, IntegrityError)
