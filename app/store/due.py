"""The statements that find what is to be published: what is due, and what was published and nobody has claimed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Float, bindparam, exists, literal, select, text

from app.domain.states import CLAIMABLE, StepState
from app.store.steps import TASK_COLUMNS, StepTask
from app.store.tables import operations, steps

if TYPE_CHECKING:
    from sqlalchemy import Connection

_S = StepState


@dataclass(frozen=True, slots=True)
class Due:
    """A step that waits to be published, again or after a retry's wait."""

    operation_id: int
    number: int
    publishes: int


@dataclass(frozen=True, slots=True)
class Unclaimed:
    """A step that was published, when that was last, and that nobody has claimed."""

    step: StepTask
    due: Due
    published_at: float


# Written out, as in the partial index: SQLite uses it only where it can see that the rows are among its own.
_IS_DUE = text("steps.state IN ('Queued', 'Retrying') AND NOT steps.parked")
#: A step that waits for a retry keeps its time while its operation is paused, and is due again once that goes on. It is
#: parked as long, so that no sweep looks at it; an operation that was paused before steps were parked has some that are
#: not.
_WAITS = _IS_DUE & exists().where(
    operations.c.id == steps.c.operation_id, operations.c.completion.in_(sorted(CLAIMABLE))
)
_DUE = (
    select(steps.c.operation_id, steps.c.number, steps.c.publishes)
    .where(_WAITS, steps.c.due_at <= bindparam("now"))
    .order_by(steps.c.due_at)
    .limit(bindparam("limit"))
)
#: When a queued step was published last: its wait doubles with each time.
_PUBLISHED_AT = steps.c.due_at - bindparam("wait", type_=Float) * literal(1).bitwise_lshift(steps.c.publishes)
_UNCLAIMED = (
    select(*TASK_COLUMNS, steps.c.operation_id, steps.c.publishes, _PUBLISHED_AT)
    .where(
        _WAITS,
        steps.c.state == _S.QUEUED,
        steps.c.due_at > bindparam("now"),
        bindparam("before", type_=Float) >= _PUBLISHED_AT,
    )
    .order_by(steps.c.due_at)
    .limit(bindparam("limit"))
)
_NEXT_DUE = select(steps.c.due_at).where(_WAITS).order_by(steps.c.due_at).limit(1)


def due_steps(tx: Connection, now: float, limit: int) -> list[Due]:
    """The steps whose time has come, the longest due first."""
    return [Due(*row) for row in tx.execute(_DUE, {"now": now, "limit": limit})]


def unclaimed_steps(tx: Connection, *, now: float, before: float, wait: float, limit: int) -> list[Unclaimed]:
    """The queued steps that were published before a moment and are unclaimed since; `wait` is the first wait."""
    rows = tx.execute(_UNCLAIMED, {"now": now, "before": before, "wait": wait, "limit": limit})
    return [
        Unclaimed(StepTask(*task), Due(operation_id, task[0], publishes), published_at)
        for *task, operation_id, publishes, published_at in rows
    ]


def next_due(tx: Connection) -> float | None:
    """When the next step is due, in seconds since the epoch."""
    due: float | None = tx.execute(_NEXT_DUE).scalar()
    return due
