"""The statements that put in whole operations as a document tells of them, wherever their steps stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, insert

from app.store.prepared import Prepared
from app.store.tables import edges, steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

#: What a step has while a worker holds it: nobody holds one of a document.
_OF_HOLDERS: Final = {"worker_id", "process", "process_start"}
_COLUMNS: Final = [column.name for column in steps.c if column.name not in _OF_HOLDERS]
_STEPS = Prepared(insert(steps).values({name: bindparam(name) for name in _COLUMNS}))
_EDGES = Prepared(insert(edges).values({column.name: bindparam(column.name) for column in edges.c}))


def lay_steps(tx: Connection, rows: Sequence[dict[str, Any]], pairs: Sequence[dict[str, int]]) -> None:
    """Insert steps with all that is known of them, and the edges between them."""
    _STEPS.change_many(tx, rows)
    if pairs:
        _EDGES.change_many(tx, pairs)
