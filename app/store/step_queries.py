"""The statements that only read `steps` and `edges`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, func, null, select, text

from app.domain.states import StepState
from app.store.prepared import Prepared
from app.store.steps import TASK_COLUMNS, StepTask
from app.store.tables import edges, steps, workers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sqlalchemy import ColumnElement, Connection

    from app.store.steps import Holder

_S = StepState
#: Steps that are looked through for one that is queued.
_FAR = 1000
#: Results that are looked up one by one: that is quicker than a statement made for as many.
_FEW = 8
#: Steps whose calls are in memory at a time.
_AT_A_TIME = 500


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step as people are shown it; `result`, `error` and `cursor` are JSON, times are seconds since the epoch."""

    number: int
    slug: str
    state: StepState
    signature: str
    inputs: str | None
    point: int | None
    clause: str | None
    callback: str | None
    runs: int
    losses: int
    result: str | None
    error: str | None
    due_at: float | None
    started_at: float | None
    finished_at: float | None
    message: str | None = None
    cursor: str | None = None
    done: int | None = None
    total: int | None = None


class Aims(NamedTuple):
    """What of a step nobody is shown: whether its end decides, its point was answered, and its end is told to nobody.

    `retries` is how often its code asked to be run again.
    """

    decides: bool
    passed: bool
    plain: bool
    retries: int


@dataclass(frozen=True, slots=True)
class Running:
    """A step in a worker's hands: which, since when, and where.

    One that is not confirmed was taken from a silent worker, since then: nobody knows whether its code still runs.
    """

    number: int
    slug: str
    started_at: float
    host: str | None
    process: int | None
    is_confirmed: bool = True
    done: int | None = None
    total: int | None = None


_OPERATION = steps.c.operation_id == bindparam("operation_id")
# Written out, as in the partial indexes: SQLite uses one only where it can see that the rows are among its own.
_IS_RUNNING = text("steps.state = 'Running'")
_SHOWN = (
    steps.c.number,
    steps.c.slug,
    steps.c.state,
    steps.c.signature,
    steps.c.inputs,
    steps.c.point,
    steps.c.clause,
    steps.c.callback,
    steps.c.runs,
    steps.c.losses,
    steps.c.result,
    steps.c.error,
    steps.c.due_at,
    steps.c.started_at,
    steps.c.finished_at,
    steps.c.message,
    steps.c.cursor,
    steps.c.done,
    steps.c.total,
)
_LIST = select(*_SHOWN).where(_OPERATION, steps.c.number > bindparam("after")).order_by(steps.c.number)
_LIST_SOME = _LIST.limit(bindparam("limit"))
_LIST_BARE = (
    select(*(null().label(column.name) if column is steps.c.result else column for column in _SHOWN))
    .where(_OPERATION)
    .order_by(steps.c.number)
)
_AIMS = (
    select(steps.c.reference, steps.c.passed, steps.c.plain, steps.c.retries).where(_OPERATION).order_by(steps.c.number)
)
_RUNNING = Prepared(
    select(
        steps.c.number,
        steps.c.slug,
        steps.c.started_at,
        workers.c.host,
        steps.c.process,
        steps.c.done,
        steps.c.total,
    )
    .outerjoin(workers, workers.c.id == steps.c.worker_id)
    .where(_OPERATION, _IS_RUNNING)
)
_ANY_RUNNING = Prepared(select(steps.c.number).where(_OPERATION, _IS_RUNNING).limit(1))
_QUEUED = select(*TASK_COLUMNS).where(_OPERATION, steps.c.state == _S.QUEUED).order_by(steps.c.number)
_RETRYING = (
    select(*TASK_COLUMNS)
    .where(_OPERATION, steps.c.state == _S.RETRYING, steps.c.due_at > bindparam("after"))
    .order_by(steps.c.number)
)
_QUEUED_AFTER = Prepared(
    select(*TASK_COLUMNS)
    .where(
        _OPERATION,
        steps.c.number > bindparam("after"),
        steps.c.number <= bindparam("last"),
        steps.c.state == str(_S.QUEUED),
    )
    .order_by(steps.c.number)
    .limit(bindparam("limit"))
)
_ONE = select(*TASK_COLUMNS, steps.c.state).where(_OPERATION, steps.c.number == bindparam("number"))
_FIND = Prepared(_ONE)
_WINDOW = Prepared(
    select(*TASK_COLUMNS, steps.c.state)
    .where(_OPERATION, steps.c.number > bindparam("after"))
    .order_by(steps.c.number)
    .limit(bindparam("limit"))
)
_SLUGS = select(steps.c.number, steps.c.slug).where(
    _OPERATION, steps.c.number.in_(bindparam("numbers", expanding=True))
)
_EDGES = select(edges.c.upstream, edges.c.downstream).where(edges.c.operation_id == bindparam("operation_id"))
_EDGES_FROM = Prepared(_EDGES.where(edges.c.upstream >= bindparam("first"), edges.c.upstream <= bindparam("last")))
_RESULT = Prepared(select(steps.c.result).where(_OPERATION, steps.c.number == bindparam("number")))


def list_steps(tx: Connection, operation_id: int, *, after: int = -1, limit: int | None = None) -> list[StepRow]:
    """The steps of an operation in topological order, those after number `after`, at most `limit`."""
    key = {"operation_id": operation_id, "after": after}
    rows = tx.execute(_LIST, key) if limit is None else tx.execute(_LIST_SOME, key | {"limit": limit})
    return [StepRow(number, slug, StepState(state), *rest) for number, slug, state, *rest in rows]


def list_bare_steps(tx: Connection, operation_id: int) -> list[StepRow]:
    """All steps of an operation in topological order, without their results: these may be large, and few are needed."""
    rows: Any = tx.execute(_LIST_BARE, {"operation_id": operation_id})
    return [StepRow(number, slug, StepState(state), *rest) for number, slug, state, *rest in rows]


def list_aims(tx: Connection, operation_id: int) -> list[Aims]:
    """What of the steps nobody is shown, in the order of `list_steps`."""
    rows: Any = tx.execute(_AIMS, {"operation_id": operation_id})
    return [Aims(*row) for row in rows]


def running_steps(tx: Connection, operation_id: int) -> list[Running]:
    """The steps that run now."""
    # Sorted here: for an order, SQLite would rather read all of an operation's steps than those that run.
    rows = sorted(_RUNNING.all(tx, {"operation_id": operation_id}))
    return [
        Running(number, slug, at, host, process, done=done, total=total)
        for number, slug, at, host, process, done, total in rows
    ]


def is_anything_running(tx: Connection, operation_id: int) -> bool:
    """Whether any step of the operation is in a worker's hands."""
    return _ANY_RUNNING.first(tx, {"operation_id": operation_id}) is not None


def queued_steps(tx: Connection, operation_id: int) -> list[StepTask]:
    """The steps that are ready and published, or about to be."""
    rows: Any = tx.execute(_QUEUED, {"operation_id": operation_id})
    return [StepTask(*row) for row in rows]


def queued_after(tx: Connection, operation_id: int, number: int, limit: int) -> list[StepTask]:
    """The first queued steps behind this number; not farther behind it than one statement should look."""
    key = {"operation_id": operation_id, "after": number, "last": number + _FAR, "limit": limit}
    return [StepTask(*row) for row in _QUEUED_AFTER.all(tx, key)]


def retrying_steps(tx: Connection, operation_id: int, *, after: float) -> list[StepTask]:
    """The steps that wait for a retry which is due after that moment."""
    rows: Any = tx.execute(_RETRYING, {"operation_id": operation_id, "after": after})
    return [StepTask(*row) for row in rows]


def find_step(tx: Connection, operation_id: int, number: int) -> tuple[StepTask, StepState] | None:
    """One step and where it stands."""
    row = _FIND.first(tx, {"operation_id": operation_id, "number": number})
    return row and (StepTask(*row[:-1]), StepState(row[-1]))


def held_step(
    tx: Connection, operation_id: int, number: int, holder: Holder, moments: Collection[float]
) -> StepTask | None:
    """A step that this holder claimed at one of these moments and that runs under that claim; None for any other."""
    mine = (
        steps.c.worker_id.is_not_distinct_from(holder.worker_id),
        steps.c.process == holder.process,
        steps.c.started_at.in_(moments),
    )
    key = {"operation_id": operation_id, "number": number}
    row = tx.execute(_ONE.where(steps.c.state == _S.RUNNING, *mine), key).first()
    return row and StepTask(*row[:-1])


def window(
    tx: Connection, operation_id: int, *, after: int, limit: int
) -> tuple[list[tuple[StepTask, StepState]], list[tuple[int, int]]]:
    """The next `limit` steps after number `after` with their states, and every edge from step `after` or from these."""
    rows = _WINDOW.all(tx, {"operation_id": operation_id, "after": after, "limit": limit})
    tasks = [(StepTask(*row[:-1]), StepState(row[-1])) for row in rows]
    last = tasks[-1][0].number if tasks else after
    key = {"operation_id": operation_id, "first": after, "last": last}
    return tasks, list(_EDGES_FROM.all(tx, key))


def edges_of(tx: Connection, operation_id: int) -> list[tuple[int, int]]:
    """All (upstream, downstream) pairs of an operation."""
    return [(up, down) for up, down in tx.execute(_EDGES, {"operation_id": operation_id})]


def results_of(tx: Connection, operation_id: int, numbers: Collection[int]) -> dict[int, str | None]:
    """The results of those steps as JSON, None for a step that has none."""
    if len(numbers) <= _FEW:
        rows = {number: _RESULT.first(tx, {"operation_id": operation_id, "number": number}) for number in numbers}
        return {number: row[0] for number, row in rows.items() if row}
    found: dict[int, str | None] = {}
    for some in _some_at_a_time(sorted(numbers)):
        query = select(steps.c.number, steps.c.result).where(
            steps.c.operation_id == operation_id, steps.c.number.in_(some)
        )
        found.update((number, result) for number, result in tx.execute(query))
    return found


def slugs_of(tx: Connection, operation_id: int, numbers: Collection[int]) -> dict[int, str]:
    """The slugs of those steps, by their numbers."""
    rows: Any = tx.execute(_SLUGS, {"operation_id": operation_id, "numbers": numbers}) if numbers else []
    return {number: slug for number, slug in rows}


def calls_where(
    tx: Connection, operation_id: int, condition: ColumnElement[bool]
) -> Iterator[tuple[int, dict[str, Any], Any]]:
    """Yield the number, the call and the inputs of the steps for which the condition holds, by number.

    Of a call with large arguments its outline is read, in which each of them is null.

    The JSON is read here and not by the database: there is JSON that a person may well send and no database reads, such
    as a NUL in a text on PostgreSQL, or what is nested very deeply.
    """
    query = select(steps.c.number, func.coalesce(steps.c.outline, steps.c.signature), steps.c.inputs).where(
        steps.c.operation_id == operation_id, condition, steps.c.number > bindparam("after")
    )
    after = -1
    while rows := tx.execute(query.order_by(steps.c.number).limit(_AT_A_TIME), {"after": after}).all():
        for number, signature, inputs in rows:
            yield number, json.loads(signature), None if inputs is None else json.loads(inputs)
        after = rows[-1][0]


def _some_at_a_time(numbers: list[int], size: int = 500) -> Iterable[list[int]]:
    return (numbers[start : start + size] for start in range(0, len(numbers), size))
