"""The statements on what workers hold and what waits for them: bounded looks, however many steps there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import bindparam, func, select, text

from app.store.counting import count_some
from app.store.tables import operations, steps
from app.store.workers import RUNNING

if TYPE_CHECKING:
    from sqlalchemy import Connection


class InHand(NamedTuple):
    """A step that runs, and the worker that holds it."""

    worker_id: int
    operation_id: int
    number: int
    slug: str
    started_at: float | None
    process: int | None
    done: int | None
    total: int | None


class Overdue(NamedTuple):
    """The step that should have been taken longest ago, in seconds since the epoch."""

    operation_id: int
    requester_id: int
    slug: str
    due_at: float


# Written out, as in the partial indexes: SQLite uses one only where it can see that the rows are among its own.
_IS_RUNNING = text("steps.state = 'Running'")
_WAITS = text("steps.state IN ('Queued', 'Retrying') AND NOT steps.parked")
_IS_OVERDUE = steps.c.due_at <= bindparam("now")
_RANK = func.row_number().over(
    partition_by=steps.c.worker_id, order_by=(steps.c.started_at, steps.c.operation_id, steps.c.number)
)
_RANKED = select(steps.c.operation_id, steps.c.number, _RANK.label("rank")).where(_IS_RUNNING)
_LONGEST: Final = (
    select(steps.c.operation_id, operations.c.requester_id, steps.c.slug, steps.c.due_at)
    .join(operations, operations.c.id == steps.c.operation_id)
    .where(_WAITS, _IS_OVERDUE)
    .order_by(steps.c.due_at)
    .limit(1)
)


def steps_in_hand(tx: Connection, requester_id: int | None, limit: int) -> list[InHand]:
    """The steps that each worker has held longest, at most `limit` of each: one requester's, or all."""
    ranked = _RANKED
    if requester_id is not None:
        # Asked of each step; joined, SQLite would begin with all operations of the requester, who may have a million.
        owner = select(operations.c.requester_id).where(operations.c.id == steps.c.operation_id).scalar_subquery()
        ranked = ranked.where(owner == requester_id)
    first = ranked.subquery()
    query = (
        select(*(steps.c[name] for name in InHand._fields))
        .join(first, (first.c.operation_id == steps.c.operation_id) & (first.c.number == steps.c.number))
        .where(first.c.rank <= limit)
        .order_by(steps.c.started_at, steps.c.operation_id, steps.c.number)
    )
    return [InHand(*row) for row in tx.execute(query)]


def count_in_hand(tx: Connection) -> dict[int, int]:
    """Return how many steps each worker holds, by its id."""
    return {worker_id: number for worker_id, number in tx.execute(select(RUNNING))}


def count_waiting(tx: Connection, now: float) -> dict[str, int]:
    """How many steps wait for a worker or a retry, and, of these, should have been taken; up to one above `COUNTED`."""
    waiting = select(steps.c.operation_id).where(_WAITS)
    return {"waiting": count_some(tx, waiting), "overdue": count_some(tx, waiting.where(_IS_OVERDUE), now=now)}


def longest_overdue(tx: Connection, now: float) -> Overdue | None:
    """The step that should have been taken longest ago."""
    row: Any = tx.execute(_LONGEST, {"now": now}).first()
    return row and Overdue(*row)
