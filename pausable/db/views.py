"""The statements behind the console's pages and `explain`: bounded reads, however many operations there are."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import and_, bindparam, func, or_, select, text

from pausable.db.history import Event
from pausable.db.operations import SUMMARY_COLUMNS, OperationSummary
from pausable.db.statements import COUNTED, count_some
from pausable.db.steps import calls_where, slugs_of
from pausable.db.tables import edges, events, lost_claims, operations, steps, workers
from pausable.db.workers import RUNNING, read_queues
from pausable.model.explanation import Asked, Held, Listening, Retry, Waiting
from pausable.model.states import BAD, FINAL, Completion, StepState
from pausable.texts import number_in

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import Connection, Select

#: Maximum operations that one search reads, newest first.
SEARCHED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Search:
    """A search for operations; None or an empty value means any."""

    requester_id: int | None
    completions: tuple[Completion, ...] = ()
    workflow: str | None = None
    words: str = ""
    before_id: int | None = None


class Ran(NamedTuple):
    """When a step began and ended; times are epoch seconds."""

    number: int
    slug: str
    state: StepState
    started_at: float
    finished_at: float | None


_IS_RUNNING = text("steps.state = 'Running'")  # literal, to match the partial index
_OF_ONE = steps.c.operation_id == bindparam("operation_id")
_LATEST_RUNS = (
    select(steps.c.number, steps.c.slug, steps.c.state, steps.c.started_at, steps.c.finished_at)
    .where(_OF_ONE, steps.c.started_at.is_not(None))
    .order_by(steps.c.started_at.desc(), steps.c.number.desc())
    .limit(bindparam("limit"))
)
_FIRST_AMONG = select(func.min(steps.c.number)).where(_OF_ONE)
_FIRST_BAD = _FIRST_AMONG.where(steps.c.state.in_([str(one) for one in BAD]))
_FIRST_LEFT = _FIRST_AMONG.where(steps.c.state.not_in([str(one) for one in FINAL]))
_LATEST_EVENTS = (
    select(events)
    .where(events.c.operation_id == bindparam("operation_id"), events.c.id < bindparam("before"))
    .order_by(events.c.id.desc())
    .limit(bindparam("limit"))
)
_MOVES = (
    select(events.c.at, events.c.new, events.c.who, events.c.why)
    .where(
        events.c.operation_id == bindparam("operation_id"),
        events.c.step.is_(None),
        events.c.old.is_distinct_from(events.c.new),
    )
    .order_by(events.c.id.desc())
    .limit(bindparam("limit"))
)


class Move(NamedTuple):
    """A change of an operation's state: when, to what, by whom and why."""

    at: float
    new: str
    who: str
    why: str | None


def find_operations(tx: Connection, asked: Search, limit: int, down_to: int = 0) -> list[OperationSummary]:
    """Return up to `limit` operations that match, newest first, with ids above `down_to`.

    The operation whose id is the search term comes first on the first page, however old it is.
    """
    query = _among(asked, are_few=_are_few(tx, asked)).limit(limit)
    if not asked.words:
        return _read(tx, query)
    named = _named(tx, asked)
    others = query.where(operations.c.id > down_to, _has(asked.words))
    return [*named, *_read(tx, others)][:limit]


def searched_down_to(tx: Connection, asked: Search) -> int:
    """Return the id above which a search looks; 0 if it covers everything that the requester may see."""
    mine = replace(asked, completions=(), workflow=None)
    looked_at = _among(mine, are_few=False).with_only_columns(operations.c.id)
    return tx.execute(looked_at.offset(SEARCHED).limit(1)).scalar() or 0


def count_by_completion(tx: Connection, requester_id: int | None) -> dict[Completion, int]:
    """Return the number of operations by state, up to one above `COUNTED`."""
    return {one: _count(tx, one, requester_id) for one in Completion}


def running_parts(tx: Connection, ids: Collection[int]) -> dict[int, float]:
    """Return the progress of running steps, in steps, by operation."""
    query = select(steps.c.operation_id, steps.c.done, steps.c.total).where(
        _IS_RUNNING, steps.c.operation_id.in_(ids), steps.c.total > 0, steps.c.done.is_not(None)
    )
    parts: dict[int, float] = {}
    for operation_id, done, total in tx.execute(query):
        parts[operation_id] = parts.get(operation_id, 0.0) + min(1.0, done / total)
    return parts


def latest_runs(tx: Connection, operation_id: int, limit: int) -> list[Ran]:
    """Return the steps that began last, in the order of their beginning."""
    rows: Any = tx.execute(_LATEST_RUNS, {"operation_id": operation_id, "limit": limit})
    return [Ran(number, slug, StepState(state), *times) for number, slug, state, *times in rows][::-1]


def step_to_look_at(tx: Connection, operation_id: int) -> int:
    """Return the number of the step to show first: a failed one, else the first unfinished one, else 0."""
    for query in (_FIRST_BAD, _FIRST_LEFT):
        found: int | None = tx.execute(query, {"operation_id": operation_id}).scalar()
        if found is not None:
            return found
    return 0


def latest_events(tx: Connection, operation_id: int, *, before: int, limit: int) -> list[Event]:
    """Return the last events before the event `before`, newest first."""
    rows = tx.execute(_LATEST_EVENTS, {"operation_id": operation_id, "before": before, "limit": limit})
    return [Event(*row) for row in rows]


def latest_moves(tx: Connection, operation_id: int, limit: int) -> list[Move]:
    """Return the last changes of the operation's state, oldest first."""
    rows: Any = tx.execute(_MOVES, {"operation_id": operation_id, "limit": limit})
    return [Move(*row) for row in rows][::-1]


def _are_few(tx: Connection, asked: Search) -> bool:
    """Return whether so few operations are in the requested states that scanning them is fastest."""
    has_other_ways = bool(asked.completions) and (asked.workflow is not None or len(asked.completions) > 1)
    return has_other_ways and all(_count(tx, one, asked.requester_id) <= COUNTED for one in asked.completions)


def _among(asked: Search, *, are_few: bool) -> Select[Any]:
    # SQLite has no statistics and uses no index for a concatenation.
    key, workflow = operations.c.id, operations.c.workflow
    by = key + 0 if are_few and len(asked.completions) > 1 else key
    named = workflow.concat("") if are_few else workflow
    query: Select[Any] = select(*SUMMARY_COLUMNS).order_by(by.desc())
    if asked.requester_id is not None:
        query = query.where(operations.c.requester_id == asked.requester_id)
    if asked.completions:
        query = query.where(operations.c.completion.in_(asked.completions))
    if asked.workflow is not None:
        query = query.where(named == asked.workflow)
    if asked.before_id is not None:
        query = query.where(operations.c.id < asked.before_id)
    return query


def _has(words: str) -> Any:
    """Return the condition that one of an operation's texts contains the words; ids are matched separately.

    The comparison ignores case; SQLite does so for ASCII only.
    """
    columns = (operations.c.workflow, operations.c.arguments, operations.c.reason, operations.c.error)
    found = or_(*(func.lower(column).contains(words.lower(), autoescape=True) for column in columns))
    number = number_in(words)
    return found if number is None else and_(found, operations.c.id != number)


def _named(tx: Connection, asked: Search) -> list[OperationSummary]:
    """Return the operation whose id is the search term, on the first page and if it matches the other conditions."""
    number = number_in(asked.words)
    if number is None or asked.before_id is not None:
        return []
    return _read(tx, _among(asked, are_few=False).where(operations.c.id == number))


def _read(tx: Connection, query: Select[Any]) -> list[OperationSummary]:
    return [OperationSummary.from_row(row) for row in tx.execute(query)]


def _count(tx: Connection, completion: Completion, requester_id: int | None) -> int:
    some = select(operations.c.id).where(operations.c.completion == completion)
    if requester_id is not None:
        some = some.where(operations.c.requester_id == requester_id)
    return count_some(tx, some)


_S, _C = StepState, Completion
#: Maximum rows of a kind: an explanation names few and counts the others.
_MOST: Final = 50
#: Number of recently ended workers to read for when they were last seen.
_FORMER: Final = 200


@dataclass(frozen=True, slots=True)
class Alike:
    """Queued steps with the same task and options: the slug of the first, and their number.

    `due_at` is when the first of them is published, `publishes` how often it was before.
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
# A literal, because SQLite uses a partial index only if the condition is written as in the index.
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
    .order_by(
        edges.c.upstream, edges.c.downstream
    )  # in key order, so that the first rows are found without reading the others
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
#: The request that led to the current state, rather than the moment when it took effect.
_BROUGHT: Final[Mapping[Completion, Completion]] = {
    _C.REQUESTING_PAUSE: _C.REQUESTING_PAUSE,
    _C.PAUSED: _C.REQUESTING_PAUSE,
    _C.REQUESTING_CANCEL: _C.REQUESTING_CANCEL,
    _C.CANCELLED: _C.REQUESTING_CANCEL,
}


def asked(tx: Connection, operation_id: int, completion: Completion) -> Asked | None:
    """Return who brought the operation into its state; None if nobody did, or it is unknown."""
    if completion not in _BROUGHT:
        return None
    row = tx.execute(_ASKED, {"operation_id": operation_id, "new": _BROUGHT[completion]}).first()
    return Asked(*row) if row else None


def counted(tx: Connection, operation_id: int) -> tuple[dict[StepState, int], list[Alike]]:
    """Return the number of steps by state, and the queued steps grouped by call."""
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
    """Return the running steps, and those taken from holders that are not proven gone."""
    key = {"operation_id": operation_id}
    # Sorted in Python: with ORDER BY, SQLite reads all steps of the operation instead of the running ones.
    running = sorted((since or 0.0, slug, *rest) for slug, since, *rest in tx.execute(_HELD, key))
    lost = [(slug, since, False, *rest) for slug, since, *rest in tx.execute(_LOST, key)]
    return (*(Held(slug, since, True, *rest) for since, slug, *rest in running), *(Held(*row) for row in lost))


def retries(tx: Connection, operation_id: int) -> tuple[Retry, ...]:
    """Return the steps that wait for a retry, the earliest first."""
    return tuple(Retry(slug, due_at or 0.0, why) for slug, due_at, why in tx.execute(_RETRIES, _key(operation_id)))


def waiting(tx: Connection, operation_id: int) -> tuple[Waiting, ...]:
    """Return the steps that wait for others of which some are under way."""
    ahead: dict[int, list[tuple[str, StepState]]] = {}
    below: dict[int, tuple[str, int]] = {}
    for number, slug, waits, up, state in tx.execute(_WAITING, _key(operation_id)):
        below[number] = slug, waits
        ahead.setdefault(number, []).append((up, StepState(state)))
    return tuple(Waiting(*below[number], tuple(ahead[number])) for number in sorted(below))


def listening(tx: Connection) -> tuple[Listening, ...]:
    """Return the workers that have not ended, and the newest of the others."""
    rows: Any = tx.execute(_LISTENING)
    return tuple(Listening(*(*row[:8], read_queues(row[8]), row[9])) for row in rows)


def _alike(call: str, numbers: list[int], slug: str, due: Mapping[int, tuple[float, int]]) -> Alike:
    stands = [due.get(number, (0.0, 0)) for number in numbers]
    first = min(due_at for due_at, _ in stands), min(publishes for _, publishes in stands)
    return Alike(numbers[0], slug, json.loads(call), len(numbers), *first)


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a call that decides the queue of its message."""
    return {name: call[name] for name in ("task", "options") if call.get(name)}


def _key(operation_id: int) -> dict[str, int]:
    return {"operation_id": operation_id}
