"""Where operations come from: the name of this installation, and what was imported from others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from app.domain.document import Origin
from app.store.operations import OPERATION_COLUMNS, Operation
from app.store.tables import installation, operations

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: What a table is called that no migration has made: one in memory.
_NAMELESS = "inline"

_NAME = select(installation.c.name)
_IMPORTED = select(*OPERATION_COLUMNS).where(operations.c.imported == bindparam("imported"))
_OF_ORIGIN = select(*OPERATION_COLUMNS).where(operations.c.origin == bindparam("origin")).order_by(operations.c.id)


def installation_name(tx: Connection) -> str:
    """What this installation of the service is called in documents."""
    name: str | None = tx.execute(_NAME).scalar()
    return name or _NAMELESS


def is_named(name: str) -> bool:
    """Whether this is the name of an installation, and of no other database: one in memory has none of its own."""
    return name != _NAMELESS


def one_by_one(tx: Connection) -> None:
    """Let whatever else asks for this wait for the rest of the transaction."""
    tx.execute(_NAME.with_for_update())


def origin_of(tx: Connection, operation: Operation) -> Origin:
    """Where an operation was started."""
    if operation.origin is None:
        return Origin(installation_name(tx), operation.id)
    name, _, number = operation.origin.rpartition("/")
    return Origin(name, int(number))


def find_imported(tx: Connection, imported: str) -> Operation | None:
    """The operation that was made from this document."""
    row = tx.execute(_IMPORTED, {"imported": imported}).first()
    return Operation.from_row(row) if row else None


def operations_of(tx: Connection, origin: str) -> list[Operation]:
    """The operations that were imported of one that was started elsewhere."""
    return [Operation.from_row(row) for row in tx.execute(_OF_ORIGIN, {"origin": origin})]
