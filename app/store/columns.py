"""What the tables are made of: their names for constraints, their keys, and what a column may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, CheckConstraint, Integer, MetaData, text

if TYPE_CHECKING:
    from collections.abc import Iterable

metadata: Final = MetaData(
    naming_convention={
        "ix": "%(table_name)s_by_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)

#: A key that counts up; on SQLite only INTEGER does.
KEY: Final = BigInteger().with_variant(Integer, "sqlite")


def one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    """The column holds one of these texts."""
    texts = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({texts})", name=column)


def only(condition: str) -> dict[str, Any]:
    """An index of those rows alone."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}
