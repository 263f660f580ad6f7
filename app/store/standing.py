"""The statements that tell how one operation stands: a few, whatever its size, of which none reads a step's values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, func, or_, select, text

from app.domain.standing import Asked, Held, Listening, Retry, Waiting
from app.domain.states import Completion, StepState
from app.store.step_queries import calls_where, slugs_of
from app.store.tables import edges, events, lost_claims, steps, workers
from app.store.workers import RUNNING, read_queues

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

_S, _C = StepState, Completion
#: Rows of a kind at the most: an explanation names few, and counts the others.
_MOST: Final = 50
#: Workers that have ended are looked at for when they were seen last: so many of the youngest.
_FORMER: Final = 200


@dataclass(frozen=True, slots=True)
class Alike:
    """Steps of one task, called with the same options, that are queued: the slug of the first, and how many.

    `due_at` is when the first of them is published, again or for the first time: `publishes` says how often it was.
    """

    number: int
    slug: str
    call: dict[str, Any]
    steps: int
    due_at: float
    publishes: int


_OPERATION = steps.c.operation_id == bindparam("operation_id")
_UNDER_WAY = ("Queued", "Running", "Retrying", "Paused")
_ASKED = (
    select(events.c.who, events.c.at, events.c.why)
    .where(
        events.c.operation_id == bindparam("operation_id"),
        events.c.step.is_(None),
        events.c.new == bindparam("new"),
        events.c.old.is_distinct_from(events.c.new),
    )
    .order_by(events.c.id.desc())
    .limit(1)
)
_PROCESS = (workers.c.host, workers.c.boot_id)
# Written out, as in the partial index: SQLite uses it only where it can see that the rows are among its own.
_HELD = (
    select(
        steps.c.slug, steps.c.started_at, steps.c.worker_id, *_PROCESS, steps.c.process, steps.c.process_start
    )
    .outerjoin(workers, workers.c.id == steps.c.worker_id)
    .where(_OPERATION, text("steps.state = 'Running'"))
)  # fmt: skip
_LOST = (
    select(
        steps.c.slug,
        lost_claims.c.lost_at,
        lost_claims.c.worker_id,
        *_PROCESS,
        lost_claims.c.process,
        lost_claims.c.process_start,
    )
    .join(steps, and_(steps.c.operation_id == lost_claims.c.operation_id, steps.c.number == lost_claims.c.number))
    .outerjoin(workers, workers.c.id == lost_claims.c.worker_id)
    .where(lost_claims.c.operation_id == bindparam("operation_id"))
    .order_by(lost_claims.c.number, lost_claims.c.claim)
)
_RETRIES = (
    select(steps.c.slug, steps.c.due_at, steps.c.message)
    .where(_OPERATION, steps.c.state == _S.RETRYING)
    .order_by(steps.c.due_at)
    .limit(_MOST)
)
_BELOW = steps.alias("below")
_WAITING = (
    select(_BELOW.c.number, _BELOW.c.slug, _BELOW.c.waiting, steps.c.slug, steps.c.state)
    .select_from(steps)
    .join(edges, and_(edges.c.operation_id == steps.c.operation_id, edges.c.upstream == steps.c.number))
    .join(_BELOW, and_(_BELOW.c.operation_id == edges.c.operation_id, _BELOW.c.number == edges.c.downstream))
    .where(_OPERATION, steps.c.state.in_(_UNDER_WAY), _BELOW.c.state == _S.PENDING)
    .order_by(edges.c.upstream, edges.c.downstream)  # the order of their key: the first are found without the others
    .limit(_MOST)
)
_LISTENING = (
    select(
        workers.c.id,
        workers.c.host,
        workers.c.boot_id,
        workers.c.pid,
        workers.c.start_time,
        workers.c.seen_at,
        workers.c.stopped_at,
        workers.c.lost_at,
        workers.c.queues,
        func.coalesce(RUNNING.c.running, 0),
    )
    .outerjoin(RUNNING, RUNNING.c.worker_id == workers.c.id)
    .where(
        or_(
            and_(workers.c.stopped_at.is_(None), workers.c.lost_at.is_(None)),
            workers.c.id > select(func.max(workers.c.id) - _FORMER).scalar_subquery(),
        )
    )
    .order_by(workers.c.id)
)
_OF_OPERATION: Final = steps.c.operation_id == bindparam("operation_id")
_COUNTED: Final = select(steps.c.state, func.count()).where(_OF_OPERATION).group_by(steps.c.state)
_DUE: Final = select(steps.c.number, steps.c.due_at, steps.c.publishes).where(
    _OF_OPERATION, steps.c.state == StepState.QUEUED
)
#: What brought an operation to where it stands: the asking, not the moment at which that took effect.
_BROUGHT: Final[Mapping[Completion, Completion]] = {
    _C.REQUESTING_PAUSE: _C.REQUESTING_PAUSE,
    _C.PAUSED: _C.REQUESTING_PAUSE,
    _C.REQUESTING_CANCEL: _C.REQUESTING_CANCEL,
    _C.CANCELLED: _C.REQUESTING_CANCEL,
}


def asked(tx: Connection, operation_id: int, completion: Completion) -> Asked | None:
    """Who brought the operation to where it stands; None where nobody did, or nobody knows."""
    if completion not in _BROUGHT:
        return None
    row = tx.execute(_ASKED, {"operation_id": operation_id, "new": _BROUGHT[completion]}).first()
    return Asked(*row) if row else None


def counted(tx: Connection, operation_id: int) -> tuple[dict[StepState, int], list[Alike]]:
    """How many steps stand where, and those that are queued, by what they call."""
    key = {"operation_id": operation_id}
    counts = {StepState(state): many for state, many in tx.execute(_COUNTED, key)}
    if _S.QUEUED not in counts:
        return counts, []
    due = {number: (due_at or 0.0, publishes) for number, due_at, publishes in tx.execute(_DUE, key)}
    alike: dict[str, list[int]] = {}
    for number, call, _ in calls_where(tx, operation_id, steps.c.state == _S.QUEUED):
        alike.setdefault(json.dumps(_call(call), sort_keys=True), []).append(number)
    groups = list(alike.items())[:_MOST]
    slugs = slugs_of(tx, operation_id, [numbers[0] for _, numbers in groups])
    return counts, [_alike(call, numbers, slugs[numbers[0]], due) for call, numbers in groups]


def held(tx: Connection, operation_id: int) -> tuple[Held, ...]:
    """The steps in somebody's hands, and those taken from somebody who is not proven gone."""
    key = {"operation_id": operation_id}
    # Sorted here: for an order, SQLite would rather read all of an operation's steps than those that run.
    running = sorted((since or 0.0, slug, *rest) for slug, since, *rest in tx.execute(_HELD, key))
    lost = [(slug, since, False, *rest) for slug, since, *rest in tx.execute(_LOST, key)]
    return (*(Held(slug, since, True, *rest) for since, slug, *rest in running), *(Held(*row) for row in lost))


def retries(tx: Connection, operation_id: int) -> tuple[Retry, ...]:
    """The steps that wait for a retry, the earliest first."""
    return tuple(Retry(slug, due_at or 0.0, why) for slug, due_at, why in tx.execute(_RETRIES, _key(operation_id)))


def waiting(tx: Connection, operation_id: int) -> tuple[Waiting, ...]:
    """The steps that wait for others of which some are under way."""
    ahead: dict[int, list[tuple[str, StepState]]] = {}
    below: dict[int, tuple[str, int]] = {}
    for number, slug, waits, up, state in tx.execute(_WAITING, _key(operation_id)):
        below[number] = slug, waits
        ahead.setdefault(number, []).append((up, StepState(state)))
    return tuple(Waiting(*below[number], tuple(ahead[number])) for number in sorted(below))


def listening(tx: Connection) -> tuple[Listening, ...]:
    """The workers that nobody knows to have ended, and the youngest of the others."""
    rows: Any = tx.execute(_LISTENING)
    return tuple(Listening(*(*row[:8], read_queues(row[8]), row[9])) for row in rows)


def _alike(call: str, numbers: list[int], slug: str, due: Mapping[int, tuple[float, int]]) -> Alike:
    stands = [due.get(number, (0.0, 0)) for number in numbers]
    first = min(due_at for due_at, _ in stands), min(publishes for _, publishes in stands)
    return Alike(numbers[0], slug, json.loads(call), len(numbers), *first)


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    """What of a call decides where its message goes."""
    return {name: call[name] for name in ("task", "options") if call.get(name)}


def _key(operation_id: int) -> dict[str, int]:
    return {"operation_id": operation_id}
