"""The statements that read `steps` and `edges`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import and_, bindparam, delete, func, literal, null, select, text

from pausable.db.statements import Prepared
from pausable.db.tables import edges, growths, paused_code, steps, workers
from pausable.db.transitions import TASK_COLUMNS, StepTask
from pausable.model.identity import MARK
from pausable.model.states import FINAL, StepState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from pausable.db.transitions import Holder

_S = StepState
#: Maximum rows to search for a queued step.
_FAR = 1000
#: Maximum results to look up one by one, which is faster than a statement built for so many.
_FEW = 8
#: Maximum steps whose calls are in memory at a time.
_AT_A_TIME = 500


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step as shown; `result`, `error` and `cursor` are JSON, times are epoch seconds."""

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
    """Internal columns of a step: whether it decides the outcome, its point was answered, and its end is not announced.

    `retries` is how often its code requested a retry, `has_result` whether a result is stored, and `growth` is its
    replacement as JSON.
    """

    decides: bool
    passed: bool
    plain: bool
    retries: int
    has_result: bool
    growth: str | None


@dataclass(frozen=True, slots=True)
class Running:
    """A running step: since when, and by which process.

    If it is not confirmed, its claim was taken from a silent worker, and its code may still run.
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
# Literals, because SQLite uses a partial index only if the condition is written as in the index.
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
    select(
        *(null().label(column.name) if column is steps.c.result else column for column in _SHOWN),
        steps.c.reference,
        steps.c.passed,
        steps.c.plain,
        steps.c.retries,
        steps.c.result.is_not(None),
        growths.c.growth,
    )
    .outerjoin(growths, and_(growths.c.operation_id == steps.c.operation_id, growths.c.number == steps.c.number))
    .where(_OPERATION)
    .order_by(steps.c.number)
)
_MANY_SHOWN: Final = len(_SHOWN)
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
    """Return the steps of an operation in topological order, those after number `after`, at most `limit`."""
    key = {"operation_id": operation_id, "after": after}
    rows = tx.execute(_LIST, key) if limit is None else tx.execute(_LIST_SOME, key | {"limit": limit})
    return [StepRow(number, slug, StepState(state), *rest) for number, slug, state, *rest in rows]


def list_bare_steps(tx: Connection, operation_id: int) -> list[tuple[StepRow, Aims]]:
    """Return all steps of an operation in topological order, without their results: they may be large, few are needed.

    Args:
        tx: The transaction.
        operation_id: The operation.

    Returns:
        Each step as people are shown it, and what of it nobody is shown.
    """
    rows: Any = tx.execute(_LIST_BARE, {"operation_id": operation_id})
    return [_bare(*row[:_MANY_SHOWN], aims=row[_MANY_SHOWN:]) for row in rows]


def _bare(number: int, slug: str, state: str, *rest: Any, aims: Sequence[Any]) -> tuple[StepRow, Aims]:
    return StepRow(number, slug, StepState(state), *rest), Aims(*aims)


def running_steps(tx: Connection, operation_id: int) -> list[Running]:
    """Return the running steps."""
    # Sorted in Python: with ORDER BY, SQLite reads all steps of the operation instead of the running ones.
    rows = sorted(_RUNNING.all(tx, {"operation_id": operation_id}))
    return [
        Running(number, slug, at, host, process, done=done, total=total)
        for number, slug, at, host, process, done, total in rows
    ]


def is_anything_running(tx: Connection, operation_id: int) -> bool:
    """Return whether any step of the operation is running."""
    return _ANY_RUNNING.first(tx, {"operation_id": operation_id}) is not None


def queued_steps(tx: Connection, operation_id: int) -> list[StepTask]:
    """Return the queued steps, which are published or about to be."""
    rows: Any = tx.execute(_QUEUED, {"operation_id": operation_id})
    return [StepTask(*row) for row in rows]


def queued_after(tx: Connection, operation_id: int, number: int, limit: int) -> list[StepTask]:
    """Return the first queued steps after this number, within `_FAR` rows."""
    key = {"operation_id": operation_id, "after": number, "last": number + _FAR, "limit": limit}
    return [StepTask(*row) for row in _QUEUED_AFTER.all(tx, key)]


def retrying_steps(tx: Connection, operation_id: int, *, after: float) -> list[StepTask]:
    """Return the steps that wait for a retry due after that moment."""
    rows: Any = tx.execute(_RETRYING, {"operation_id": operation_id, "after": after})
    return [StepTask(*row) for row in rows]


def find_step(tx: Connection, operation_id: int, number: int) -> tuple[StepTask, StepState] | None:
    """Return a step and its state."""
    row = _FIND.first(tx, {"operation_id": operation_id, "number": number})
    return row and (StepTask(*row[:-1]), StepState(row[-1]))


def held_step(
    tx: Connection, operation_id: int, number: int, holder: Holder, moments: Collection[float]
) -> StepTask | None:
    """Return a step that this holder claimed at one of these moments and still runs; None otherwise."""
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
    """Return the next `limit` steps after `after` with their states, and the edges from `after` and from them."""
    rows = _WINDOW.all(tx, {"operation_id": operation_id, "after": after, "limit": limit})
    tasks = [(StepTask(*row[:-1]), StepState(row[-1])) for row in rows]
    last = tasks[-1][0].number if tasks else after
    key = {"operation_id": operation_id, "first": after, "last": last}
    return tasks, list(_EDGES_FROM.all(tx, key))


def edges_of(tx: Connection, operation_id: int) -> list[tuple[int, int]]:
    """Return all (upstream, downstream) pairs of an operation."""
    return [(up, down) for up, down in tx.execute(_EDGES, {"operation_id": operation_id})]


def results_of(tx: Connection, operation_id: int, numbers: Collection[int]) -> dict[int, str | None]:
    """Return the results of those steps as JSON, None for a step without one."""
    if len(numbers) <= _FEW:
        rows = {number: _RESULT.first(tx, {"operation_id": operation_id, "number": number}) for number in numbers}
        return {number: row[0] for number, row in rows.items() if row}
    found: dict[int, str | None] = {}
    for some in _in_batches(sorted(numbers)):
        query = select(steps.c.number, steps.c.result).where(
            steps.c.operation_id == operation_id, steps.c.number.in_(some)
        )
        found.update((number, result) for number, result in tx.execute(query))
    return found


def slugs_of(tx: Connection, operation_id: int, numbers: Collection[int]) -> dict[int, str]:
    """Return the slugs of those steps by number."""
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
        if len(rows) < _AT_A_TIME:
            return
        after = rows[-1][0]


def _in_batches(numbers: list[int], size: int = 500) -> Iterable[list[int]]:
    return (numbers[start : start + size] for start in range(0, len(numbers), size))


#: Characters of a signature to read for the name of its task, which is nearly always its first key.
_HEAD: Final = 500
#: A signature whose first key is its task.
_TASK_FIRST: Final = re.compile(r'\{\s*"task":\s*("[^"\\]*")')
#: Maximum step numbers per statement.
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class ShownStep:
    """A step as listed; `result` and `error` are JSON, times are epoch seconds.

    `result` is also None if results were not requested.
    """

    number: int
    slug: str
    state: StepState
    task: str
    point: int | None
    runs: int
    losses: int
    error: str | None
    due_at: float | None
    started_at: float | None
    finished_at: float | None
    message: str | None
    done: int | None
    total: int | None
    result: str | None


@dataclass(frozen=True, slots=True)
class DrawnStep:
    """A step as drawn in a picture."""

    number: int
    slug: str
    state: StepState
    task: str
    started_at: float | None
    finished_at: float | None


_NAMED = (steps.c.number, steps.c.slug, steps.c.state, func.substr(steps.c.signature, 1, _HEAD))
_COLUMNS = (
    *_NAMED,
    steps.c.point,
    steps.c.runs,
    steps.c.losses,
    steps.c.error,
    steps.c.due_at,
    steps.c.started_at,
    steps.c.finished_at,
    steps.c.message,
    steps.c.done,
    steps.c.total,
)
_PAGE = (_OPERATION, steps.c.number > bindparam("after"))
_LISTED = select(*_COLUMNS, steps.c.result).where(*_PAGE).order_by(steps.c.number).limit(bindparam("limit"))
_LISTED_WITHOUT_RESULTS = select(*_COLUMNS, null()).where(*_PAGE).order_by(steps.c.number).limit(bindparam("limit"))
_DRAWN = select(*_NAMED, steps.c.started_at, steps.c.finished_at).where(_OPERATION).order_by(steps.c.number)
_SIGNATURES = select(steps.c.number, func.coalesce(steps.c.outline, steps.c.signature)).where(
    _OPERATION, steps.c.number.in_(bindparam("numbers", expanding=True))
)
_SOME_EDGES = (
    select(edges.c.upstream).where(edges.c.operation_id == bindparam("operation_id")).limit(bindparam("limit"))
)
_COUNT_EDGES = select(func.count()).select_from(_SOME_EDGES.subquery())


def shown_steps(
    tx: Connection, operation_id: int, *, after: int, limit: int, has_results: bool = False
) -> list[ShownStep]:
    """Return the steps of an operation in topological order, those after number `after`, at most `limit`."""
    query = _LISTED if has_results else _LISTED_WITHOUT_RESULTS
    rows: Any = tx.execute(query, {"operation_id": operation_id, "after": after, "limit": limit}).all()
    tasks = _tasks(tx, operation_id, rows)
    return [ShownStep(row[0], row[1], StepState(row[2]), tasks[row[0]], *row[4:]) for row in rows]


def drawn_steps(tx: Connection, operation_id: int) -> list[DrawnStep]:
    """Return all steps of an operation in topological order."""
    rows: Any = tx.execute(_DRAWN, {"operation_id": operation_id}).all()
    tasks = _tasks(tx, operation_id, rows)
    return [DrawnStep(row[0], row[1], StepState(row[2]), tasks[row[0]], *row[4:]) for row in rows]


def count_edges(tx: Connection, operation_id: int, limit: int) -> int:
    """Return the number of edges of an operation, up to `limit`."""
    number: int = tx.execute(_COUNT_EDGES, {"operation_id": operation_id, "limit": limit}).scalar_one()
    return number


def _tasks(tx: Connection, operation_id: int, rows: Iterable[Sequence[Any]]) -> Mapping[int, str]:
    """Return the task names of these steps by number; signatures that do not begin with it are read as a whole."""
    found: dict[int, str] = {}
    others: list[int] = []
    for number, _slug, _state, head, *_rest in rows:
        if match := _TASK_FIRST.match(head):
            found[number] = json.loads(match[1])
        else:
            others.append(number)
    for start in range(0, len(others), _AT_ONCE):
        key = {"operation_id": operation_id, "numbers": others[start : start + _AT_ONCE]}
        found |= {number: str(json.loads(signature)["task"]) for number, signature in tx.execute(_SIGNATURES, key)}
    return found


#: Maximum references to results to check.
_MOST: Final = 1000
#: Prefix of a reference to a result: see `pausable.results.references`.
_REFERENCE: Final = f'{{"{MARK}":{{"store":'


@dataclass(frozen=True, slots=True)
class Remaining:
    """Unfinished steps with the same call: the slug of the first, and their number.

    `positional` and `keywords` are the arguments' shape, including a value passed on by upstream steps.
    """

    number: int
    slug: str
    steps: int
    task: str
    positional: int
    keywords: dict[str, Any]
    options: dict[str, Any]

    @property
    def call(self) -> dict[str, Any]:
        """Return what decides the queue of its message."""
        return {"task": self.task, "options": self.options}


_REMAINS = steps.c.state.not_in(sorted(FINAL))
_POINTS = select(steps.c.clause, steps.c.callback).where(_OPERATION, _REMAINS, steps.c.point.is_not(None)).distinct()
_BELOW = steps.alias("below")
_NEEDED = (
    select(steps.c.slug, steps.c.result)
    .select_from(steps)
    .join(edges, and_(edges.c.operation_id == steps.c.operation_id, edges.c.upstream == steps.c.number))
    .join(_BELOW, and_(_BELOW.c.operation_id == edges.c.operation_id, _BELOW.c.number == edges.c.downstream))
    .where(
        _OPERATION,
        steps.c.state.in_(sorted(FINAL)),
        _BELOW.c.state.not_in(sorted(FINAL)),
        func.substr(steps.c.result, 1, len(_REFERENCE)) == literal(_REFERENCE),
    )
    .distinct()
    .limit(_MOST)
)
_CODE = select(paused_code.c.code).where(paused_code.c.operation_id == bindparam("operation_id"))
_FORGET = delete(paused_code).where(paused_code.c.operation_id == bindparam("operation_id"))
_KEEP = text(
    "INSERT INTO paused_code (operation_id, code) VALUES (:operation_id, :code) "
    "ON CONFLICT (operation_id) DO UPDATE SET code = excluded.code"
)


def remaining_calls(tx: Connection, operation_id: int) -> list[Remaining]:
    """Return the calls that remain; 10,000 steps with the same call are one of them."""
    alike: dict[Any, list[int]] = {}
    calls: dict[Any, dict[str, Any]] = {}
    for number, call, inputs in calls_where(tx, operation_id, _REMAINS):
        positional = len(call.get("args", ())) + _is_handed(call, inputs)
        key = call["task"], positional, *(_text(call.get(name)) for name in ("kwargs", "options"))
        calls.setdefault(key, call | {"positional": positional})
        alike.setdefault(key, []).append(number)
    slugs = slugs_of(tx, operation_id, [numbers[0] for numbers in alike.values()])
    return [_remaining(slugs[numbers[0]], numbers, calls[key]) for key, numbers in alike.items()]


def signatures_behind(tx: Connection, operation_id: int) -> list[dict[str, Any]]:
    """Return the authors' own clauses and callbacks of pause points before unfinished steps."""
    rows = tx.execute(_POINTS, {"operation_id": operation_id})
    return [json.loads(text) for row in rows for text in row if text]


def needed_results(tx: Connection, operation_id: int) -> list[tuple[str, str]]:
    """Return (slug, reference) of the results in stores that unfinished steps need."""
    return [(slug, result) for slug, result in tx.execute(_NEEDED, {"operation_id": operation_id})]


def code_when_paused(tx: Connection, operation_id: int) -> dict[str, Any] | None:
    """Return the fingerprints stored at the last pause; None if it was paused by a version without them."""
    text: str | None = tx.execute(_CODE, {"operation_id": operation_id}).scalar()
    return None if text is None else dict(json.loads(text))


def keep_code(tx: Connection, operation_id: int, code: dict[str, Any] | None) -> None:
    """Replace the fingerprints of the code that the operation is paused with."""
    if code is None:
        tx.execute(_FORGET, {"operation_id": operation_id})
    else:
        tx.execute(_KEEP, {"operation_id": operation_id, "code": json.dumps(code, separators=(",", ":"))})


def _is_handed(call: dict[str, Any], inputs: Any) -> bool:
    """Return whether a step gets a first argument from others, rather than only values bound into its call."""
    if inputs is None or call.get("immutable") or call.get("complete"):
        return False
    return not isinstance(inputs, dict) or inputs["first"] is not None


def _remaining(slug: str, numbers: list[int], call: dict[str, Any]) -> Remaining:
    return Remaining(
        number=numbers[0],
        slug=slug,
        steps=len(numbers),
        task=call["task"],
        positional=call["positional"],
        keywords=call.get("kwargs") or {},
        options=call.get("options") or {},
    )


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True) if value else ""
