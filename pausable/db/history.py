"""The history of operations: events, edits, the logs of steps, and marks that show whether anything has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NotRequired, TypedDict, Unpack

from sqlalchemy import Float, bindparam, cast, func, insert, select, text, tuple_, update

from pausable.db.statements import Prepared
from pausable.db.tables import edits, events, operations, step_logs, steps, workers
from pausable.model.graph import outline_of
from pausable.model.states import FINAL, IDLE, Completion, StepState
from pausable.secrets import redacted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import BindParameter, Connection


@dataclass(frozen=True, slots=True)
class Event:
    """One change: by whom, of what (a step's slug or the operation itself), from which state to which, and why."""

    id: int
    operation_id: int
    at: float
    who: str
    step: str | None
    old: str | None
    new: str
    why: str | None


class EventFields(TypedDict):
    """The fields of an event to append."""

    at: float
    who: str
    new: str
    old: NotRequired[str | None]
    step: NotRequired[str | None]
    why: NotRequired[str | None]


_TOLD = ("operation_id", "at", "who", "step", "old", "new", "why")
_INSERT = Prepared(insert(events).values({name: bindparam(name) for name in _TOLD}))
_EVENTS_OF_OPERATION = (
    select(events)
    .where(events.c.operation_id == bindparam("operation_id"), events.c.id > bindparam("after"))
    .order_by(events.c.id)
    .limit(bindparam("limit"))
)


_ASKED = (
    select(events.c.at)
    .where(
        events.c.operation_id == bindparam("operation_id"),
        events.c.step.is_(None),
        events.c.new == bindparam("new"),
        events.c.old.is_distinct_from(events.c.new),  # a rebuilt document is recorded as PAUSED to PAUSED
    )
    .order_by(events.c.id.desc())
    .limit(1)
)


_HAS_PAUSED = (
    select(events.c.id)
    .where(
        events.c.operation_id == bindparam("operation_id"),
        events.c.step == bindparam("step"),
        events.c.new == StepState.PAUSED,
        events.c.id
        > select(func.coalesce(func.max(events.c.id), 0))
        .where(
            events.c.operation_id == bindparam("operation_id"),
            events.c.step.is_(None),
            events.c.old == Completion.FAILED,
        )
        .scalar_subquery(),
    )
    .limit(1)
)


def append_event(tx: Connection, operation_id: int, **told: Unpack[EventFields]) -> None:
    """Append an event, in the transaction of its change."""
    why = told.get("why")
    row = {"operation_id": operation_id, "step": None, "old": None, **told, "why": redacted(why) if why else why}
    _INSERT.change(tx, row)


def events_of(tx: Connection, operation_id: int, *, after: int = 0, limit: int = 1000) -> list[Event]:
    """Return the events of an operation in order, those after the event `after`."""
    rows = tx.execute(_EVENTS_OF_OPERATION, {"operation_id": operation_id, "after": after, "limit": limit})
    return [Event(*row) for row in rows]


def has_paused(tx: Connection, operation_id: int, slug: str) -> bool:
    """Return whether a step has asked for a pause, or stopped for one, since the operation was last retried."""
    return tx.execute(_HAS_PAUSED, {"operation_id": operation_id, "step": slug}).first() is not None


def last_asked(tx: Connection, operation_id: int, new: str) -> float | None:
    """Return when the operation last reached that state, in epoch seconds."""
    at: float | None = tx.execute(_ASKED, {"operation_id": operation_id, "new": new}).scalar()
    return at


@dataclass(frozen=True, slots=True)
class Edit:
    """A row of `edits`; `diff` and `former` are JSON, times are epoch seconds."""

    id: int
    operation_id: int
    at: float
    who: str
    why: str | None
    diff: str
    former: str
    runs: int
    undone_at: float | None
    undone_by: str | None


_EDITS_OF_OPERATION = edits.c.operation_id == bindparam("operation_id")
_ALL = select(edits).where(_EDITS_OF_OPERATION)
_LAST = _ALL.where(edits.c.undone_at.is_(None)).order_by(edits.c.id.desc()).limit(1)
_RUNS = select(func.coalesce(func.sum(steps.c.runs), 0)).where(steps.c.operation_id == bindparam("operation_id"))
_STEP = (steps.c.operation_id == bindparam("key_operation"), steps.c.number == bindparam("key_number"))
_CALL = (
    update(steps)
    .where(*_STEP, steps.c.state.in_(sorted(IDLE)))
    .values(signature=bindparam("signature"), outline=bindparam("outline"))
)
_RESULT = update(steps).where(*_STEP, steps.c.state.in_(sorted(FINAL))).values(result=bindparam("result"))


def insert_edit(tx: Connection, row: Mapping[str, Any]) -> int:
    """Insert an edit and return its id."""
    id_: int = tx.execute(insert(edits).returning(edits.c.id), row).scalar_one()
    return id_


def last_edit(tx: Connection, operation_id: int) -> Edit | None:
    """Return the newest edit that was not undone."""
    row: Any = tx.execute(_LAST, {"operation_id": operation_id}).first()
    return None if row is None else Edit(*row)


def list_edits(tx: Connection, operation_id: int, *, after: int, limit: int) -> list[Edit]:
    """Return the edits of an operation in order, those after that one."""
    query = _ALL.where(edits.c.id > after).order_by(edits.c.id).limit(limit)
    rows: Any = tx.execute(query, {"operation_id": operation_id})
    return [Edit(*row) for row in rows]


def mark_undone(tx: Connection, edit_id: int, who: str, now: float) -> bool:
    """Mark an edit as undone; return False if it was."""
    statement = update(edits).where(edits.c.id == edit_id, edits.c.undone_at.is_(None))
    return tx.execute(statement.values(undone_at=now, undone_by=who)).rowcount == 1


def runs_of(tx: Connection, operation_id: int) -> int:
    """Return how often code of the operation's steps was started in total."""
    return int(tx.execute(_RUNS, {"operation_id": operation_id}).scalar_one())


def change_calls(tx: Connection, operation_id: int, calls: Mapping[int, str]) -> bool:
    """Replace the calls (JSON) of steps that have not begun; return False if one of them has."""
    keys = [
        {"key_operation": operation_id, "key_number": one, "signature": text, "outline": outline_of(text)}
        for one, text in calls.items()
    ]
    return all(tx.execute(_CALL, key).rowcount == 1 for key in keys)


def change_results(tx: Connection, operation_id: int, results: Mapping[int, str | None]) -> bool:
    """Replace the results (JSON) of steps that have ended; return False if one of them has not."""
    keys = [{"key_operation": operation_id, "key_number": one, "result": text} for one, text in results.items()]
    return all(tx.execute(_RESULT, key).rowcount == 1 for key in keys)


@dataclass(frozen=True, slots=True)
class LogPart:
    """Some lines of one run of a step's code; parts are ordered by `run` and `part`."""

    run: int
    part: int
    lines: str


_OF_STEP = (step_logs.c.operation_id == bindparam("operation_id")) & (step_logs.c.number == bindparam("number"))
# The next part is looked up instead of counted by the writer: a run whose claim the table never recorded has the number
# of the next run.
_NEXT_PART = (
    select(func.coalesce(func.max(step_logs.c.part), 0) + 1)
    .where(_OF_STEP, step_logs.c.run == bindparam("run"))
    .scalar_subquery()
)
_APPEND = Prepared(
    insert(step_logs).values(
        operation_id=bindparam("operation_id"),
        number=bindparam("number"),
        run=bindparam("run"),
        part=_NEXT_PART,
        lines=bindparam("lines"),
    )
)
_AFTER = (
    select(step_logs.c.run, step_logs.c.part, step_logs.c.lines)
    .where(_OF_STEP, tuple_(step_logs.c.run, step_logs.c.part) > tuple_(bindparam("run"), bindparam("part")))
    .order_by(step_logs.c.run, step_logs.c.part)
    .limit(bindparam("limit"))
)
_NUMBER = select(steps.c.number).where(
    steps.c.operation_id == bindparam("operation_id"), steps.c.slug == bindparam("slug")
)


def append_lines(tx: Connection, operation_id: int, number: int, run: int, lines: str) -> None:
    """Append lines to the log of one run of a step's code; each line ends with a line feed."""
    _APPEND.change(tx, {"operation_id": operation_id, "number": number, "run": run, "lines": lines})


def log_parts(
    tx: Connection, operation_id: int, number: int, *, after: LogPart | None = None, limit: int = 16
) -> list[LogPart]:
    """Return the next parts of a step's log after `after`, at most `limit`; none at its end."""
    run, part = (after.run, after.part) if after else (0, 0)
    key = {"operation_id": operation_id, "number": number, "run": run, "part": part, "limit": limit}
    return [LogPart(*row) for row in tx.execute(_AFTER, key)]


def number_of_slug(tx: Connection, operation_id: int, slug: str) -> int | None:
    """Return the number of the operation's step with that slug."""
    number: int | None = tx.execute(_NUMBER, {"operation_id": operation_id, "slug": slug}).scalar()
    return number


#: A mark: two reads that return different ones have a change between them.
Mark = tuple[Any, ...]
#: Marks of wider scope than given operations.
Sweep = Callable[["Connection"], Mark]

#: Maximum operations per statement.
_AT_ONCE: Final = 500
#: PostgreSQL assigns ids before commits, so a smaller id may appear after a larger one: this many ids are counted.
_WINDOW: Final = 256

_IDS: Final[BindParameter[Any]] = bindparam("ids", expanding=True)
_LAST_EVENT = (
    select(func.max(events.c.id))
    .where(events.c.operation_id == operations.c.id)
    .correlate(operations)
    .scalar_subquery()
)
_STANDING = select(operations.c.id, operations.c.version, _LAST_EVENT).where(operations.c.id.in_(_IDS))
_IS_RUNNING = text("steps.state = 'Running'")  # literal, to match the partial index
# `done` is whatever the code reports: as integers, the largest ones could overflow the sum.
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
    """Return a mark per existing operation that changes with the operation, its history or its running steps."""
    found: dict[int, Mark] = {}
    for first in range(0, len(ids), _AT_ONCE):
        some = ids[first : first + _AT_ONCE]
        running = {row[0]: tuple(row[1:]) for row in tx.execute(_RUNNING, {"ids": some})}
        found |= {row[0]: (*row[1:], *running.get(row[0], ())) for row in tx.execute(_STANDING, {"ids": some})}
    return found


def mark_of_all(tx: Connection) -> Mark:
    """Return a mark that changes when an operation is started or any event is appended."""
    return (*tx.execute(_HISTORY).one(), tx.execute(_NEWEST_OPERATION).scalar())


def mark_of_work(tx: Connection) -> Mark:
    """Return a mark that changes when a worker comes or goes, or a step is claimed, progresses or ends."""
    return (*tx.execute(_STAFF).one(), *tx.execute(_IN_HAND).one())


def newest_event(tx: Connection, operation_id: int) -> int:
    """Return the id of the last event of an operation; 0 if there is none."""
    return tx.execute(_NEWEST_OF, {"operation_id": operation_id}).scalar() or 0
