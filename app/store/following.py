"""The statements that tell whether anything has changed: of many operations at once, of the list of all, of work.

They read keys and small numbers alone, from indexes, however long a history is and however many operations there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Float, bindparam, cast, func, select, text

from app.store.tables import events, operations, steps, workers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import BindParameter, Connection

#: Two of these differ where something has changed between the two looks.
Mark = tuple[Any, ...]
#: What tells the mark of something wider than operations that are named.
Sweep = Callable[["Connection"], Mark]

#: Operations that one statement asks for.
_AT_ONCE: Final = 500
#: PostgreSQL hands ids out before commits, so that a smaller one may appear after a larger: so many ids are counted.
_WINDOW: Final = 256

_IDS: Final[BindParameter[Any]] = bindparam("ids", expanding=True)
_LAST_EVENT = (
    select(func.max(events.c.id))
    .where(events.c.operation_id == operations.c.id)
    .correlate(operations)
    .scalar_subquery()
)
_STANDING = select(operations.c.id, operations.c.version, _LAST_EVENT).where(operations.c.id.in_(_IDS))
_IS_RUNNING = text("steps.state = 'Running'")  # written out, as in the partial index
# `done` is whatever the code of a step says: as whole numbers, the largest ones could not be added up.
_WHICH_AND_HOW_FAR = (
    func.count(),
    func.sum(steps.c.number),
    func.sum(steps.c.claim),
    func.sum(cast(steps.c.done, Float)),
)
_RUNNING = (
    select(steps.c.operation_id, *_WHICH_AND_HOW_FAR)
    .where(_IS_RUNNING, steps.c.operation_id.in_(_IDS))
    .group_by(steps.c.operation_id)
)
_NEWEST = select(func.max(events.c.id)).scalar_subquery()
_HISTORY = select(func.max(events.c.id), func.count(), func.sum(events.c.id)).where(events.c.id > _NEWEST - _WINDOW)
_NEWEST_OF = select(func.max(events.c.id)).where(events.c.operation_id == bindparam("operation_id"))
_NEWEST_OPERATION = select(func.max(operations.c.id))
_STAFF = select(func.count(), func.sum(workers.c.id)).where(workers.c.stopped_at.is_(None), workers.c.lost_at.is_(None))
_IN_HAND = select(
    func.sum(steps.c.operation_id), func.sum(steps.c.worker_id), func.max(steps.c.started_at), *_WHICH_AND_HOW_FAR
).where(_IS_RUNNING)


def marks_of(tx: Connection, ids: Sequence[int]) -> Mapping[int, Mark]:
    """A mark for each operation that there is; it differs once the operation, its history or what runs has changed."""
    found: dict[int, Mark] = {}
    for first in range(0, len(ids), _AT_ONCE):
        some = ids[first : first + _AT_ONCE]
        running = {row[0]: tuple(row[1:]) for row in tx.execute(_RUNNING, {"ids": some})}
        found |= {row[0]: (*row[1:], *running.get(row[0], ())) for row in tx.execute(_STANDING, {"ids": some})}
    return found


def mark_of_all(tx: Connection) -> Mark:
    """A mark that differs once an operation was started, or anything was appended to a history."""
    return (*tx.execute(_HISTORY).one(), tx.execute(_NEWEST_OPERATION).scalar())


def mark_of_work(tx: Connection) -> Mark:
    """A mark that differs once a worker has come or gone, or a step was taken, got on, or is in hand no longer."""
    return (*tx.execute(_STAFF).one(), *tx.execute(_IN_HAND).one())


def newest_event(tx: Connection, operation_id: int) -> int:
    """The id of the last event in an operation's history; 0 where there is none."""
    return tx.execute(_NEWEST_OF, {"operation_id": operation_id}).scalar() or 0
