"""The statements on `tallies`, and the counts of other tables, for `/metrics`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, delete, func, select, text

from pausable.db.tables import operations, steps, tallies, workers
from pausable.model.states import ENDED, Completion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Tally:
    """A counter: how often something with this label fell into this bucket, and the sum of the measurements."""

    name: str
    label: str
    bucket: int
    count: int
    total: float


#: Counted by the minute: the bucket is the minute since the epoch, and old minutes are deleted.
STEPS_A_MINUTE: Final = "steps_a_minute"
OPERATIONS_A_MINUTE: Final = "operations_a_minute"
_BY_MINUTE: Final = (STEPS_A_MINUTE, OPERATIONS_A_MINUTE)

#: One statement for SQLite and PostgreSQL; SQLAlchemy has a construct for each.
_ADD: Final = text(
    "INSERT INTO tallies (name, label, bucket, count, total) VALUES (:name, :label, :bucket, :count, :total)"
    " ON CONFLICT (name, label, bucket) DO UPDATE"
    " SET count = tallies.count + excluded.count, total = tallies.total + excluded.total"
)
_ALL: Final = (
    select(tallies).where(tallies.c.name.not_in(_BY_MINUTE)).order_by(tallies.c.name, tallies.c.label, tallies.c.bucket)
)
_OF_MINUTES: Final = (tallies.c.name.in_(_BY_MINUTE), tallies.c.label == "")  # the label makes it a range of the key
_MINUTES: Final = select(tallies.c.name, tallies.c.bucket, tallies.c.count).where(
    *_OF_MINUTES, tallies.c.bucket >= bindparam("since")
)
_FORGET: Final = delete(tallies).where(*_OF_MINUTES, tallies.c.bucket < bindparam("before"))
#: Counted from the index alone: 0.1 s of CPU for a million rows.
_BY_COMPLETION: Final = select(operations.c.completion, func.count()).group_by(operations.c.completion)
_UNFINISHED: Final = (
    select(operations.c.completion, operations.c.workflow, func.count())
    .where(operations.c.completion.in_([str(one) for one in Completion if one not in ENDED]))
    .group_by(operations.c.completion, operations.c.workflow)
)
# Literals, because SQLite uses a partial index only if the condition is written as in the index.
_RUNNING: Final = select(func.count()).select_from(steps).where(text("steps.state = 'Running'"))
_WAITING: Final = (
    select(func.count()).select_from(steps).where(text("steps.state IN ('Queued', 'Retrying') AND NOT steps.parked"))
)
_OVERDUE: Final = _WAITING.where(steps.c.due_at <= bindparam("now"))
_ALIVE: Final = (
    select(func.count())
    .select_from(workers)
    .where(workers.c.stopped_at.is_(None), workers.c.lost_at.is_(None), workers.c.seen_at >= bindparam("since"))
)
_LOST: Final = select(func.count()).select_from(workers).where(workers.c.lost_at.is_not(None))


def add_metrics(tx: Connection, made: Iterable[Tally]) -> None:
    """Add to the counters, always in the same order to avoid deadlocks."""
    ordered = sorted(made, key=lambda one: (one.name, one.label, one.bucket))
    tx.execute(_ADD, [{field: getattr(one, field) for field in Tally.__slots__} for one in ordered])


def list_metrics(tx: Connection) -> list[Tally]:
    """Return all counters since the first start in bucket order, without those by the minute."""
    return [Tally(*row) for row in tx.execute(_ALL)]


def list_minutes(tx: Connection, since: int) -> dict[tuple[str, int], int]:
    """Return the counts by name and minute from the minute `since` on."""
    return {(name, minute): count for name, minute, count in tx.execute(_MINUTES, {"since": since})}


def forget_minutes(tx: Connection, before: int) -> None:
    """Delete the counts of earlier minutes."""
    tx.execute(_FORGET, {"before": before})


def count_operations(tx: Connection) -> dict[Completion, int]:
    """Return the number of operations in each state, including 0."""
    found: dict[str, int] = {completion: number for completion, number in tx.execute(_BY_COMPLETION)}
    return {completion: found.get(completion, 0) for completion in Completion}


def count_unfinished(tx: Connection) -> list[tuple[str, str, int]]:
    """Return (workflow, state, count) of the operations that have not ended."""
    return [(completion, workflow, number) for completion, workflow, number in tx.execute(_UNFINISHED)]


def count_steps(tx: Connection, now: float) -> dict[str, int]:
    """Return how many steps run, wait for a worker or a retry, and are overdue."""
    counted = {"running": tx.execute(_RUNNING), "queued": tx.execute(_WAITING)}
    counted["overdue"] = tx.execute(_OVERDUE, {"now": now})
    return {state: int(found.scalar_one()) for state, found in counted.items()}


def count_workers(tx: Connection, since: float) -> dict[str, int]:
    """Return how many workers were seen since then, and how many were ever lost."""
    alive, lost = tx.execute(_ALIVE, {"since": since}).scalar_one(), tx.execute(_LOST).scalar_one()
    return {"alive": int(alive), "lost": int(lost)}
