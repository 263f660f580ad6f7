"""The statements behind the console's pages: bounded looks, however many operations and steps there are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import and_, bindparam, func, or_, select, text

from app.domain.numbers import number_in
from app.domain.states import BAD, FINAL, Completion, StepState
from app.store.counting import COUNTED, count_some
from app.store.events import Event
from app.store.operations import SUMMARY_COLUMNS, OperationSummary
from app.store.tables import events, operations, steps

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Select

#: Operations that one search looks through for its words, the newest first.
SEARCHED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Asked:
    """Which operations are looked for; None, or nothing, means any."""

    requester_id: int | None
    completions: tuple[Completion, ...] = ()
    workflow: str | None = None
    words: str = ""
    before_id: int | None = None


class Ran(NamedTuple):
    """When a step began and ended; times are seconds since the epoch."""

    number: int
    slug: str
    state: StepState
    started_at: float
    finished_at: float | None


_IS_RUNNING = text("steps.state = 'Running'")  # written out, as in the partial index
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
    """A move of an operation itself: when, to where, by whom and why."""

    at: float
    new: str
    who: str
    why: str | None


def find_operations(tx: Connection, asked: Asked, limit: int, down_to: int = 0) -> list[OperationSummary]:
    """The newest operations that are asked for, at most `limit`, none of whose ids is `down_to` or below.

    The one whose id is what is searched for comes first, however old it is, and on no page but the first.
    """
    query = _among(asked, are_few=_are_few(tx, asked)).limit(limit)
    if not asked.words:
        return _read(tx, query)
    named = _named(tx, asked)
    others = query.where(operations.c.id > down_to, _has(asked.words))
    return [*named, *_read(tx, others)][:limit]


def searched_down_to(tx: Connection, asked: Asked) -> int:
    """The id down to which a search looks, itself left out; 0 when it looks through all that the requester may see."""
    mine = replace(asked, completions=(), workflow=None)
    looked_at = _among(mine, are_few=False).with_only_columns(operations.c.id)
    return tx.execute(looked_at.offset(SEARCHED).limit(1)).scalar() or 0


def count_by_completion(tx: Connection, requester_id: int | None) -> dict[Completion, int]:
    """How many operations stand where, counted no further than one above `COUNTED`."""
    return {one: _count(tx, one, requester_id) for one in Completion}


def running_parts(tx: Connection, ids: Collection[int]) -> dict[int, float]:
    """How much of steps that run is done by their own account, in steps, by the operation."""
    query = select(steps.c.operation_id, steps.c.done, steps.c.total).where(
        _IS_RUNNING, steps.c.operation_id.in_(ids), steps.c.total > 0, steps.c.done.is_not(None)
    )
    parts: dict[int, float] = {}
    for operation_id, done, total in tx.execute(query):
        parts[operation_id] = parts.get(operation_id, 0.0) + min(1.0, done / total)
    return parts


def latest_runs(tx: Connection, operation_id: int, limit: int) -> list[Ran]:
    """The steps that began last, the first of them first."""
    rows: Any = tx.execute(_LATEST_RUNS, {"operation_id": operation_id, "limit": limit})
    return [Ran(number, slug, StepState(state), *times) for number, slug, state, *times in rows][::-1]


def step_to_look_at(tx: Connection, operation_id: int) -> int:
    """The number of the step that people look for first: one that failed, else the first that has not ended, else 0."""
    for query in (_FIRST_BAD, _FIRST_LEFT):
        found: int | None = tx.execute(query, {"operation_id": operation_id}).scalar()
        if found is not None:
            return found
    return 0


def latest_events(tx: Connection, operation_id: int, *, before: int, limit: int) -> list[Event]:
    """What happened last to an operation, the latest first, of what came before the event `before`."""
    rows = tx.execute(_LATEST_EVENTS, {"operation_id": operation_id, "before": before, "limit": limit})
    return [Event(*row) for row in rows]


def latest_moves(tx: Connection, operation_id: int, limit: int) -> list[Move]:
    """The last moves of the operation itself, the first of them first."""
    rows: Any = tx.execute(_MOVES, {"operation_id": operation_id, "limit": limit})
    return [Move(*row) for row in rows][::-1]


def _are_few(tx: Connection, asked: Asked) -> bool:
    """Whether so few stand where is asked that to look through all of them is quicker than any other way."""
    has_other_ways = bool(asked.completions) and (asked.workflow is not None or len(asked.completions) > 1)
    return has_other_ways and all(_count(tx, one, asked.requester_id) <= COUNTED for one in asked.completions)


def _among(asked: Asked, *, are_few: bool) -> Select[Any]:
    # SQLite, which knows nothing of how many there are, looks into no index for what is put together.
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
    """Whether any of an operation's texts has it in it, and its id is something else.

    Its case does not matter; in SQLite that is true of ASCII alone.
    """
    columns = (operations.c.workflow, operations.c.arguments, operations.c.reason, operations.c.error)
    found = or_(*(func.lower(column).contains(words.lower(), autoescape=True) for column in columns))
    number = number_in(words)
    return found if number is None else and_(found, operations.c.id != number)


def _named(tx: Connection, asked: Asked) -> list[OperationSummary]:
    """The operation whose id is what is searched for, where the first page is asked for and it fits the rest."""
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
