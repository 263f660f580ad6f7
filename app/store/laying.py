"""The statements that put in steps and edges: those of a new operation, and of one that a document tells of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, insert

from app.domain.outlines import outline_of
from app.store.prepared import Prepared
from app.store.tables import edges, steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

_BORN: Final = (
    "operation_id", "number", "slug", "state", "claim", "losses", "runs", "retries", "waiting", "signature", "inputs",
    "point", "clause", "callback", "passed", "due_at", "publishes", "plain", "reference",
    "outline",
)  # fmt: skip
_INSERT_STEPS = Prepared(insert(steps).values({name: bindparam(name) for name in _BORN}))
#: What a step has while a worker holds it: nobody holds one of a document.
_OF_HOLDERS: Final = {"worker_id", "process", "process_start"}
_TOLD: Final = [column.name for column in steps.c if column.name not in _OF_HOLDERS]
_LAY_STEPS = Prepared(insert(steps).values({name: bindparam(name) for name in _TOLD}))
_INSERT_EDGES = Prepared(insert(edges).values({column.name: bindparam(column.name) for column in edges.c}))


def insert_steps(tx: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Insert steps that nothing has happened to yet."""
    _INSERT_STEPS.change_many(tx, [row | {"outline": outline_of(row["signature"])} for row in rows])


def lay_steps(tx: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Insert steps with all that is known of them, wherever they stand."""
    _LAY_STEPS.change_many(tx, [row | {"outline": outline_of(row["signature"])} for row in rows])


def insert_edges(tx: Connection, operation_id: int, pairs: Iterable[tuple[int, int]]) -> None:
    """Insert edges between steps: (upstream, downstream) pairs of their numbers."""
    rows = [{"operation_id": operation_id, "upstream": up, "downstream": down} for up, down in pairs]
    if rows:
        _INSERT_EDGES.change_many(tx, rows)
