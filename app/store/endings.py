"""The statements by which the end of a step changes those that wait for it, and by which all that is taken back."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, bindparam, case, func, null, select, update

from app.domain.states import BAD, StepState
from app.domain.triggers import SKIPPED_WITH
from app.store.prepared import Prepared
from app.store.steps import TASK_COLUMNS, StepTask
from app.store.tables import edges, steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import CTE, Case, ColumnElement, Connection
    from sqlalchemy.sql.dml import ReturningUpdate

_S = StepState


@dataclass(frozen=True, slots=True)
class TakenBack:
    """A step that is to run again, where it stands, and how many of its upstreams run again or were skipped."""

    number: int
    state: StepState
    waiting: int
    spoiled: int


@dataclass(frozen=True, slots=True)
class Upstream:
    """A step directly upstream of another; its error and result are JSON."""

    slug: str
    state: StepState
    message: str | None
    error: str | None
    result: str | None


def _unless_before(name: str) -> Case[Any]:
    """A column of the cursor: where a step before runs again too, the place may lie in what is no more."""
    return case((bindparam("waiting", type_=Integer) > 0, null()), else_=steps.c[name])


#: Step numbers that one statement names at the most.
_AT_ONCE: Final = 500

_TEXTS = frozenset({steps.c.signature, steps.c.inputs, steps.c.clause, steps.c.callback, steps.c.cursor})
_OPERATION = steps.c.operation_id == bindparam("key_operation")
_STEP = _OPERATION & (steps.c.number == bindparam("key_number"))
_BELOW_ONE = (edges.c.operation_id == bindparam("key_operation")) & (edges.c.upstream == bindparam("key_upstream"))
_BELOW_SOME = (edges.c.operation_id == bindparam("key_operation")) & (
    edges.c.upstream.in_(bindparam("key_upstreams", expanding=True))
)


#: The columns of a step that one of many upstreams has counted down; the texts, which may be large, are left out until
#: the step waits for nothing: nobody looks at them before, and there are as many rows as upstreams.
_WAITING_TASK = tuple(
    case((steps.c.waiting == 0, column), else_=("" if column is steps.c.signature else null())).label(column.name)
    if column in _TEXTS
    else column
    for column in TASK_COLUMNS
)


def _counting_down(below: ColumnElement[bool], by: Any) -> ReturningUpdate[Any]:
    return (
        update(steps)
        .where(_OPERATION, steps.c.state == _S.PENDING, steps.c.number.in_(select(edges.c.downstream).where(below)))
        .values(waiting=steps.c.waiting - by)
        .returning(*_WAITING_TASK)
    )


_COUNT_DOWN = Prepared(_counting_down(_BELOW_ONE, 1))
_COUNT_DOWN_BY_SOME = _counting_down(
    _BELOW_SOME,
    select(func.count()).where(_BELOW_SOME, edges.c.downstream == steps.c.number).correlate(steps).scalar_subquery(),
)
_SKIP = Prepared(
    update(steps)
    .where(_STEP, steps.c.state == _S.PENDING)
    .values(state=_S.SKIPPED, finished_at=bindparam("now"), message=SKIPPED_WITH)
)
_UPSTREAM = (
    select(steps.c.slug, steps.c.state, steps.c.message, steps.c.error, steps.c.result)
    .join(edges, (edges.c.operation_id == steps.c.operation_id) & (edges.c.upstream == steps.c.number))
    .where(_OPERATION, edges.c.downstream == bindparam("key_number"))
    .order_by(steps.c.number)
)
_FIRST_BAD = (
    select(steps.c.slug, steps.c.signature, steps.c.error)
    .join(edges, (edges.c.operation_id == steps.c.operation_id) & (edges.c.upstream == steps.c.number))
    .where(_OPERATION, edges.c.downstream == bindparam("key_number"), steps.c.state.in_(sorted(BAD)))
    .order_by(steps.c.number)
    .limit(1)
)
#: The operation's id goes from row to row, as in `_below`.
_THIS = (
    select(steps.c.operation_id, steps.c.number)
    .where(_OPERATION, steps.c.number == bindparam("key_number"))
    .cte("this_or_before", recursive=True)
)
_BAD_BEFORE = _THIS.union(
    select(steps.c.operation_id, steps.c.number)
    .join(edges, (edges.c.operation_id == steps.c.operation_id) & (edges.c.upstream == steps.c.number))
    .join(_THIS, (edges.c.operation_id == _THIS.c.operation_id) & (edges.c.downstream == _THIS.c.number))
    .where(steps.c.state.in_(sorted(BAD)))
)
_FAILED_BEFORE = (
    select(steps.c.number)
    .join(_BAD_BEFORE, (steps.c.operation_id == _BAD_BEFORE.c.operation_id) & (steps.c.number == _BAD_BEFORE.c.number))
    .where(steps.c.state == _S.FAILED)
)
_REFERENCES = select(steps.c.state).where(_OPERATION, steps.c.reference).distinct()
_STANDINGS = select(steps.c.number, steps.c.state).where(_OPERATION)
_TAKE_BACK = (
    update(steps)
    .where(_OPERATION, steps.c.state == bindparam("key_state"))
    .values(
        state=_S.PENDING,
        waiting=bindparam("waiting"),
        spoiled=bindparam("spoiled"),
        retries=0,
        losses=0,
        publishes=0,
        passed=False,
        result=None,
        error=None,
        message=None,
        due_at=None,
        started_at=None,
        finished_at=None,
        cursor=_unless_before("cursor"),
        done=_unless_before("done"),
        total=_unless_before("total"),
    )
)
_READY_AGAIN = (
    select(*TASK_COLUMNS).where(_OPERATION, steps.c.state == _S.PENDING, steps.c.waiting == 0).order_by(steps.c.number)
)


def count_down(tx: Connection, operation_id: int, upstreams: Sequence[int]) -> list[StepTask]:
    """Tell the steps below `upstreams` that these have ended well; returns those that wait for nothing more."""
    found: list[StepTask] = []
    for some in _some(upstreams):
        key: dict[str, Any] = {"key_operation": operation_id}
        rows: Any = (
            _COUNT_DOWN.all(tx, key | {"key_upstream": some[0]})
            if len(some) == 1
            else tx.execute(_COUNT_DOWN_BY_SOME, key | {"key_upstreams": some})
        )
        found += [task for task in (StepTask(*row) for row in rows) if task.waiting == 0]
    return found


def spread_failure(tx: Connection, operation_id: int, bad: Iterable[int], now: float, why: str) -> list[int]:
    """End as TriggerFailed all plain steps that lie downstream of some, past plain ones alone; return their numbers.

    Args:
        tx: The transaction, which holds the operation's row.
        operation_id: The operation.
        bad: The numbers of the steps that ended badly.
        now: Seconds since the epoch.
        why: The message of each step that ends so.
    """
    spread: list[int] = []
    for some in _some(bad):
        below = _below(operation_id, some)
        statement = (
            update(steps)
            .where(_OPERATION, steps.c.state == _S.PENDING, steps.c.number.in_(select(below.c.number)))
            .values(state=_S.TRIGGER_FAILED, finished_at=now, message=why)
            .returning(steps.c.number)
        )
        spread += tx.execute(statement, {"key_operation": operation_id}).scalars()
    return spread


def _below(operation_id: int, numbers: Sequence[int]) -> CTE:
    """The plain pending steps that can be reached from these past plain pending steps alone.

    The operation's id goes from row to row: SQLite, were it told twice, would read all its edges for each of them.
    """
    reached = (edges.c.operation_id == steps.c.operation_id) & (edges.c.downstream == steps.c.number)
    from_here = select(steps.c.operation_id, steps.c.number).join(edges, reached)
    is_open = (steps.c.state == _S.PENDING) & steps.c.plain
    first = from_here.where(edges.c.operation_id == operation_id, edges.c.upstream.in_(numbers), is_open)
    below: CTE = first.cte("below", recursive=True)
    known = (edges.c.operation_id == below.c.operation_id) & (edges.c.upstream == below.c.number)
    return below.union(from_here.where(known, is_open))


def spoil(tx: Connection, operation_id: int, ended: Iterable[int]) -> list[StepTask]:
    """Tell the steps below these that they have ended without success; returns those that wait for nothing more."""
    ready: list[StepTask] = []
    for some in _some(ended):
        mine = (
            (edges.c.operation_id == operation_id) & edges.c.upstream.in_(some) & (edges.c.downstream == steps.c.number)
        )
        many = select(func.count()).select_from(edges).where(mine).correlate(steps).scalar_subquery()
        below = select(edges.c.downstream).where(edges.c.operation_id == operation_id, edges.c.upstream.in_(some))
        statement = (
            update(steps)
            .where(_OPERATION, steps.c.state == _S.PENDING, steps.c.number.in_(below))
            .values(waiting=steps.c.waiting - many, spoiled=steps.c.spoiled + many)
            .returning(*_WAITING_TASK)
        )
        ready += (StepTask(*row) for row in tx.execute(statement, {"key_operation": operation_id}))
    return [task for task in ready if task.waiting == 0]


def skip(tx: Connection, operation_id: int, numbers: Iterable[int], now: float) -> None:
    """End pending steps as Skipped: one before them was."""
    keys = [{"key_operation": operation_id, "key_number": number, "now": now} for number in numbers]
    if keys:
        _SKIP.change_many(tx, keys)


def upstream_of(tx: Connection, operation_id: int, number: int) -> list[Upstream]:
    """The steps directly upstream of one."""
    rows = tx.execute(_UPSTREAM, {"key_operation": operation_id, "key_number": number})
    return [Upstream(slug, StepState(state), *rest) for slug, state, *rest in rows]


def first_bad_before(tx: Connection, operation_id: int, number: int) -> tuple[str, dict[str, Any], str | None] | None:
    """The slug, the signature and the error (JSON) of the first step directly upstream of one that has ended badly."""
    row = tx.execute(_FIRST_BAD, {"key_operation": operation_id, "key_number": number}).first()
    return (row[0], json.loads(row[1]), row[2]) if row else None


def failed_before(tx: Connection, operation_id: int, number: int) -> set[int]:
    """Return the numbers of the failed steps for which one has ended badly: itself, or those before it."""
    return set(tx.execute(_FAILED_BEFORE, {"key_operation": operation_id, "key_number": number}).scalars())


def reference_states(tx: Connection, operation_id: int) -> set[StepState]:
    """Where the steps stand whose ends decide how the operation ends."""
    return {StepState(state) for state in tx.execute(_REFERENCES, {"key_operation": operation_id}).scalars()}


def standings(tx: Connection, operation_id: int) -> dict[int, StepState]:
    """Where each step stands, by number."""
    return {number: StepState(state) for number, state in tx.execute(_STANDINGS, {"key_operation": operation_id})}


def take_back(tx: Connection, operation_id: int, rows: Iterable[TakenBack]) -> None:
    """Make steps that have ended pending again, as if they had not run; one that waits for nothing keeps its cursor."""
    alike: defaultdict[tuple[StepState, int, int], list[int]] = defaultdict(list)
    for row in rows:
        alike[row.state, row.waiting, row.spoiled].append(row.number)
    for (state, waiting, spoiled), numbers in alike.items():
        key = {"key_operation": operation_id, "key_state": state, "waiting": waiting, "spoiled": spoiled}
        for some in _some(numbers):
            tx.execute(_TAKE_BACK.where(steps.c.number.in_(some)), key)


def ready_again(tx: Connection, operation_id: int) -> list[StepTask]:
    """The pending steps that wait for nothing."""
    rows: Any = tx.execute(_READY_AGAIN, {"key_operation": operation_id})
    return [StepTask(*row) for row in rows]


def _some(numbers: Iterable[int]) -> Iterator[list[int]]:
    every = sorted(numbers)
    return (every[start : start + _AT_ONCE] for start in range(0, len(every), _AT_ONCE))
