"""The statements that write `steps`: each is guarded by the state that it changes, under the operation's lock."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Boolean, Float, Integer, bindparam, case, delete, func, insert, not_, null, or_, select, update

from pausable.db.statements import Prepared
from pausable.db.tables import edges, growths, steps
from pausable.model.graph import Growth, outline_of
from pausable.model.states import BAD, IDLE, StepState
from pausable.model.triggers import SKIPPED_WITH

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import CTE, Case, ColumnElement, Connection, Update
    from sqlalchemy.sql.dml import ReturningUpdate

_S = StepState
#: Maximum steps per statement.
AT_ONCE: Final = 500
#: Maximum steps to change one by one, which is faster than a statement built for so many.
_FEW: Final = 8

#: Columns that a worker needs to run a step.
_TASK = (
    steps.c.number,
    steps.c.slug,
    steps.c.claim,
    steps.c.losses,
    steps.c.runs,
    steps.c.retries,
    steps.c.waiting,
    steps.c.signature,
    steps.c.inputs,
    steps.c.point,
    steps.c.clause,
    steps.c.callback,
    steps.c.passed,
    steps.c.spoiled,
    steps.c.plain,
    steps.c.cursor,
)
TASK_COLUMNS = _TASK


@dataclass(frozen=True)
class StepTask:
    """A step as a worker needs it; `claim` is the number of its current or last claim.

    `spoiled` counts its unsuccessful upstreams. A `plain` step has no trigger but success, and its end is not
    announced. `cursor` is the place saved by an earlier run, as JSON.
    """

    number: int
    slug: str
    claim: int
    losses: int
    runs: int
    retries: int
    waiting: int
    signature: str
    inputs: str | None
    point: int | None
    clause: str | None
    callback: str | None
    passed: bool
    spoiled: int = 0
    plain: bool = True
    cursor: str | None = None

    @cached_property
    def call(self) -> dict[str, Any]:
        """Return the parsed signature."""
        call: dict[str, Any] = json.loads(self.signature)
        return call

    @property
    def task(self) -> str:
        """Return the registered name of the task."""
        return str(self.call["task"])

    def claimed(self) -> StepTask:
        """Return the step as it is after a claim."""
        return replace(self, claim=self.claim + 1, runs=self.runs + 1)


@dataclass(frozen=True, slots=True)
class Holder:
    """The holder of a claim: a worker, and the process of its pool by id and start."""

    worker_id: int | None
    process: int
    process_start: int | None = None


_HAS_PLACE = bindparam("has_place", type_=Boolean)


def _unless_well(name: str, given: str) -> Case[Any]:
    """A cursor column: kept until the step has ended well, and replaced where a new place is given."""
    column = steps.c[name]
    is_well, place = bindparam("is_well", type_=Boolean), bindparam(given, type_=column.type)
    return case((is_well, null()), (_HAS_PLACE, place), else_=column)


_OPERATION = steps.c.operation_id == bindparam("key_operation")
_STEP = _OPERATION & (steps.c.number == bindparam("key_number"))
_CLAIM = Prepared(
    update(steps)
    .where(_STEP, steps.c.state == _S.QUEUED, or_(steps.c.clause.is_(None), steps.c.passed))
    .values(
        state=_S.RUNNING,
        claim=steps.c.claim + 1,
        runs=steps.c.runs + 1,
        worker_id=bindparam("worker_id"),
        process=bindparam("process"),
        process_start=bindparam("process_start"),
        started_at=bindparam("now"),
        due_at=None,
        publishes=0,  # its message arrived: the next one counts as the first again
    )
    .returning(*_TASK)
)
_CONTINUE = Prepared(
    update(steps)
    .where(_STEP, steps.c.state == _S.PENDING, steps.c.claim == bindparam("key_claim"))
    .values(
        state=_S.RUNNING,
        claim=steps.c.claim + 1,
        runs=steps.c.runs + 1,
        waiting=0,
        worker_id=bindparam("worker_id"),
        process=bindparam("process"),
        process_start=bindparam("process_start"),
        started_at=bindparam("now"),
    )
)
_RECORD = Prepared(
    update(steps)
    .where(_STEP, steps.c.state == bindparam("key_state"), steps.c.claim == bindparam("key_claim"))
    .values(
        state=bindparam("state"),
        claim=bindparam("claim"),
        runs=bindparam("runs"),
        retries=bindparam("retries"),
        waiting=0,
        signature=bindparam("signature"),
        outline=case((bindparam("is_called_anew", type_=Boolean), bindparam("outline")), else_=steps.c.outline),
        result=bindparam("result"),
        error=bindparam("error"),
        message=bindparam("message"),
        due_at=bindparam("due_at"),
        started_at=bindparam("started_at"),
        finished_at=bindparam("finished_at"),
        cursor=_unless_well("cursor", "place"),
        done=_unless_well("done", "place_done"),
        total=_unless_well("total", "place_total"),
        # As in `pausable.db.claims`, a cursor that moved resets the losses.
        losses=case(
            (not_(_HAS_PLACE) | (steps.c.cursor == bindparam("place", type_=steps.c.cursor.type)), steps.c.losses),
            else_=0,
        ),
        worker_id=None,
        process=None,
        process_start=None,
    )
)
_SOME = steps.c.number.in_(bindparam("key_numbers", expanding=True))
_IS_READY = (steps.c.state == _S.PENDING) & (steps.c.waiting == 0)
_RELEASE = Prepared(update(steps).where(_STEP, _IS_READY).values(state=_S.QUEUED, due_at=bindparam("due_at")))
_RELEASE_SOME = update(steps).where(_OPERATION, _SOME, _IS_READY).values(state=_S.QUEUED, due_at=bindparam("due_at"))
_HOLD = Prepared(update(steps).where(_STEP, _IS_READY).values(state=_S.PAUSED))
_HOLD_SOME = update(steps).where(_OPERATION, _SOME, _IS_READY).values(state=_S.PAUSED)
_RELEASE_HELD = (
    update(steps)
    .where(_OPERATION, steps.c.state == _S.PAUSED)
    .values(state=_S.QUEUED, passed=True, due_at=bindparam("due_at"), publishes=0)
    .returning(*_TASK)
)
_RELEASE_FIRST = (
    update(steps)
    .where(_OPERATION, steps.c.state == _S.PAUSED)
    .values(state=_S.QUEUED, due_at=bindparam("due_at"), publishes=0)
    .returning(*_TASK)
)
_PARK = update(steps).where(_OPERATION, steps.c.state == _S.RETRYING).values(parked=True)
_REST = (
    update(steps)
    .where(_OPERATION, steps.c.state.in_([_S.QUEUED, _S.RETRYING]))
    .values(
        state=case((steps.c.state == _S.QUEUED, _S.PAUSED), else_=steps.c.state),
        due_at=case((steps.c.state == _S.QUEUED, null()), else_=steps.c.due_at),
        parked=steps.c.state == _S.RETRYING,
    )
)
# Also what is not parked: of an operation that was paused before steps were.
_UNPARK = update(steps).where(_OPERATION, or_(steps.c.parked, steps.c.state == _S.RETRYING)).values(parked=False)
_CANCEL = (
    update(steps)
    .where(_OPERATION, steps.c.state.in_(sorted(IDLE)))
    .values(state=_S.CANCELLED, due_at=None, finished_at=bindparam("now"))
)
_AT_POINT = _OPERATION & (steps.c.point == bindparam("key_point")) & (steps.c.state == _S.QUEUED) & ~steps.c.passed
_PASS_POINT = update(steps).where(_AT_POINT).values(passed=True)
_HOLD_POINT = update(steps).where(_AT_POINT).values(state=_S.PAUSED, due_at=None)
_PUBLISHED_AGAIN = (
    update(steps)
    .where(
        _STEP,
        steps.c.state.in_([_S.QUEUED, _S.RETRYING]),
        steps.c.publishes == bindparam("key_publishes"),
        steps.c.due_at <= bindparam("now"),
    )
    .values(state=_S.QUEUED, publishes=steps.c.publishes + 1, due_at=bindparam("due_at"))
    .returning(*_TASK)
)
_LATER = {"due_at": steps.c.due_at + bindparam("seconds", type_=Float)}
_POSTPONE = Prepared(update(steps).where(_STEP, steps.c.state == _S.RETRYING).values(_LATER))
_POSTPONE_SOME = update(steps).where(_OPERATION, _SOME, steps.c.state == _S.RETRYING).values(_LATER)
_UNPUBLISHED = Prepared(
    update(steps)
    .where(_STEP, steps.c.state == _S.QUEUED)
    .values(due_at=bindparam("due_at"), publishes=case((steps.c.publishes > 0, steps.c.publishes - 1), else_=0))
)


def claim_step(tx: Connection, operation_id: int, number: int, holder: Holder, now: float) -> StepTask | None:
    """Claim a queued step; None if it is not queued, or its pause point's clause has not been asked yet."""
    key = {"key_operation": operation_id, "key_number": number}
    row = _CLAIM.first(tx, {**key, **_holding(holder), "now": now})
    return row and StepTask(*row)


def claim_next(tx: Connection, operation_id: int, step: StepTask, holder: Holder, now: float) -> bool:
    """Claim a step that the settling worker runs next; return False if it was changed meanwhile."""
    key = {"key_operation": operation_id, "key_number": step.number, "key_claim": step.claim}
    return _CONTINUE.change(tx, {**key, **_holding(holder), "now": now}) == 1


def _holding(holder: Holder) -> dict[str, int | None]:
    return {"worker_id": holder.worker_id, "process": holder.process, "process_start": holder.process_start}


def record(tx: Connection, rows: Sequence[dict[str, Any]]) -> bool:
    """Record how steps ended, each with its expected state and claim; return False if one differs."""
    return _RECORD.change_many(tx, rows) == len(rows)


def release(tx: Connection, operation_id: int, due: Mapping[int, float]) -> None:
    """Queue ready steps, each with the time of its republishing if it is not claimed."""
    alike: defaultdict[float, list[int]] = defaultdict(list)
    for number, at in due.items():
        alike[at].append(number)
    for at, numbers in alike.items():
        _change(tx, _RELEASE, _RELEASE_SOME, {"key_operation": operation_id, "due_at": at}, numbers)


def hold(tx: Connection, operation_id: int, numbers: Sequence[int]) -> None:
    """Hold ready steps at their pause point."""
    _change(tx, _HOLD, _HOLD_SOME, {"key_operation": operation_id}, numbers)


def _change(tx: Connection, one: Prepared, some: Update, key: dict[str, Any], numbers: Sequence[int]) -> None:
    """Apply the same change to steps: one by one if few, else `AT_ONCE` per statement."""
    if len(numbers) <= _FEW:
        for number in numbers:
            one.change(tx, key | {"key_number": number})
        return
    for start in range(0, len(numbers), AT_ONCE):
        tx.execute(some, key | {"key_numbers": numbers[start : start + AT_ONCE]})


def release_held(tx: Connection, operation_id: int, due_at: float) -> list[StepTask]:
    """Queue every held step, and return them in order; their points are not asked again."""
    return _released(tx, _RELEASE_HELD, operation_id, due_at)


def release_first(tx: Connection, operation_id: int, due_at: float) -> list[StepTask]:
    """Queue the first steps of an operation, held until its time to start, and return them in order.

    Their points are yet to be asked.
    """
    return _released(tx, _RELEASE_FIRST, operation_id, due_at)


def _released(tx: Connection, statement: ReturningUpdate[Any], operation_id: int, due_at: float) -> list[StepTask]:
    rows = tx.execute(statement, {"key_operation": operation_id, "due_at": due_at})
    return sorted((StepTask(*row) for row in rows), key=lambda step: step.number)


def rest(tx: Connection, operation_id: int) -> None:
    """Hold every queued step, before anybody has claimed it, and park every step that waits for a retry."""
    tx.execute(_REST, {"key_operation": operation_id})


def park(tx: Connection, operation_id: int) -> None:
    """Hide steps that wait for a retry from sweeps while their operation is paused."""
    tx.execute(_PARK, {"key_operation": operation_id})


def unpark(tx: Connection, operation_id: int) -> bool:
    """Show the steps that wait for a retry to sweeps again; return whether there are any."""
    return tx.execute(_UNPARK, {"key_operation": operation_id}).rowcount > 0


def answer_point(tx: Connection, operation_id: int, point: int | None, *, pause: bool) -> int:
    """Store the answer of a pause point's own clause for all steps behind it; return how many."""
    statement = _HOLD_POINT if pause else _PASS_POINT
    return tx.execute(statement, {"key_operation": operation_id, "key_point": point}).rowcount


def cancel_idle(tx: Connection, operation_id: int, now: float) -> int:
    """Cancel every step that has not ended and is not running; return how many."""
    return tx.execute(_CANCEL, {"key_operation": operation_id, "now": now}).rowcount


def publish_again(
    tx: Connection, operation_id: int, number: int, publishes: int, *, now: float, due_at: float
) -> StepTask | None:
    """Queue a due step so that one worker publishes it; None if another was first."""
    key = {"key_operation": operation_id, "key_number": number, "key_publishes": publishes}
    row = tx.execute(_PUBLISHED_AGAIN, key | {"now": now, "due_at": due_at}).first()
    return StepTask(*row) if row else None


def postpone(tx: Connection, operation_id: int, numbers: Sequence[int], seconds: float) -> None:
    """Extend the retry wait of steps by so many seconds."""
    _change(tx, _POSTPONE, _POSTPONE_SOME, {"key_operation": operation_id, "seconds": seconds}, numbers)


def mark_unpublished(tx: Connection, operation_id: int, numbers: Iterable[int], due_at: float) -> None:
    """Make steps due for republishing earlier: the broker did not accept them."""
    keys = [{"key_operation": operation_id, "key_number": number, "due_at": due_at} for number in numbers]
    _UNPUBLISHED.change_many(tx, keys)


@dataclass(frozen=True, slots=True)
class TakenBack:
    """A step to run again: its state, and how many of its upstreams run again or were skipped."""

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
    """A cursor column: cleared if an upstream step runs again too, because its data may no longer exist."""
    return case((bindparam("waiting", type_=Integer) > 0, null()), else_=steps.c[name])


#: Maximum step numbers per statement.
_AT_ONCE: Final = 500

_TEXTS = frozenset({steps.c.signature, steps.c.inputs, steps.c.clause, steps.c.callback, steps.c.cursor})
_BELOW_ONE = (edges.c.operation_id == bindparam("key_operation")) & (edges.c.upstream == bindparam("key_upstream"))
_BELOW_SOME = (edges.c.operation_id == bindparam("key_operation")) & (
    edges.c.upstream.in_(bindparam("key_upstreams", expanding=True))
)


#: Columns of a step after one of many upstreams was counted; large texts are omitted until it waits for nothing, since
#: there are as many rows as upstreams.
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
#: The operation's id is passed from row to row, as in `_below`.
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
    """Count successful upstreams down in the steps below; return those that wait for nothing more."""
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


def propagate_failure(tx: Connection, operation_id: int, bad: Iterable[int], now: float, why: str) -> list[int]:
    """End plain steps downstream of failed ones, through plain steps only, as TriggerFailed; return their numbers.

    Args:
        tx: The transaction, which holds the operation's row.
        operation_id: The operation.
        bad: The numbers of the steps that ended badly.
        now: Epoch seconds.
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
    """The plain pending steps that can be reached from these through plain pending steps only.

    The operation's id is passed from row to row: given twice, SQLite would read all edges for each row.
    """
    reached = (edges.c.operation_id == steps.c.operation_id) & (edges.c.downstream == steps.c.number)
    from_here = select(steps.c.operation_id, steps.c.number).join(edges, reached)
    is_open = (steps.c.state == _S.PENDING) & steps.c.plain
    first = from_here.where(edges.c.operation_id == operation_id, edges.c.upstream.in_(numbers), is_open)
    below: CTE = first.cte("below", recursive=True)
    known = (edges.c.operation_id == below.c.operation_id) & (edges.c.upstream == below.c.number)
    return below.union(from_here.where(known, is_open))


def spoil(tx: Connection, operation_id: int, ended: Iterable[int]) -> list[StepTask]:
    """Count unsuccessful upstreams in the steps below; return those that wait for nothing more."""
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
    """End pending steps as Skipped because an upstream was skipped."""
    keys = [{"key_operation": operation_id, "key_number": number, "now": now} for number in numbers]
    if keys:
        _SKIP.change_many(tx, keys)


def upstream_of(tx: Connection, operation_id: int, number: int) -> list[Upstream]:
    """Return the steps directly upstream of one."""
    rows = tx.execute(_UPSTREAM, {"key_operation": operation_id, "key_number": number})
    return [Upstream(slug, StepState(state), *rest) for slug, state, *rest in rows]


def first_bad_before(tx: Connection, operation_id: int, number: int) -> tuple[str, dict[str, Any], str | None] | None:
    """Return slug, signature and error (JSON) of the first failed step directly upstream."""
    row = tx.execute(_FIRST_BAD, {"key_operation": operation_id, "key_number": number}).first()
    return (row[0], json.loads(row[1]), row[2]) if row else None


def failed_before(tx: Connection, operation_id: int, number: int) -> set[int]:
    """Return the numbers of the failed steps that caused a step to end badly: itself, or steps before it."""
    return set(tx.execute(_FAILED_BEFORE, {"key_operation": operation_id, "key_number": number}).scalars())


def reference_states(tx: Connection, operation_id: int) -> set[StepState]:
    """Return the states of the steps that decide how the operation ends."""
    return {StepState(state) for state in tx.execute(_REFERENCES, {"key_operation": operation_id}).scalars()}


def standings(tx: Connection, operation_id: int) -> dict[int, StepState]:
    """Return the state of each step by number."""
    return {number: StepState(state) for number, state in tx.execute(_STANDINGS, {"key_operation": operation_id})}


def take_back(tx: Connection, operation_id: int, rows: Iterable[TakenBack]) -> None:
    """Make ended steps pending as if they had not run; one that waits for nothing keeps its cursor."""
    alike: defaultdict[tuple[StepState, int, int], list[int]] = defaultdict(list)
    for row in rows:
        alike[row.state, row.waiting, row.spoiled].append(row.number)
    for (state, waiting, spoiled), numbers in alike.items():
        key = {"key_operation": operation_id, "key_state": state, "waiting": waiting, "spoiled": spoiled}
        for some in _some(numbers):
            tx.execute(_TAKE_BACK.where(steps.c.number.in_(some)), key)


def ready_again(tx: Connection, operation_id: int) -> list[StepTask]:
    """Return the pending steps that wait for nothing."""
    rows: Any = tx.execute(_READY_AGAIN, {"key_operation": operation_id})
    return [StepTask(*row) for row in rows]


def _some(numbers: Iterable[int]) -> Iterator[list[int]]:
    every = sorted(numbers)
    return (every[start : start + _AT_ONCE] for start in range(0, len(every), _AT_ONCE))


_BORN: Final = (
    "operation_id", "number", "slug", "state", "claim", "losses", "runs", "retries", "waiting", "signature", "inputs",
    "point", "clause", "callback", "passed", "due_at", "publishes", "plain", "reference",
    "outline",
)  # fmt: skip
_INSERT_STEPS = Prepared(insert(steps).values({name: bindparam(name) for name in _BORN}))
#: Columns set while a worker holds a step: steps of a document have no holder.
_OF_HOLDERS: Final = {"worker_id", "process", "process_start"}
_TOLD: Final = [column.name for column in steps.c if column.name not in _OF_HOLDERS]
_LAY_STEPS = Prepared(insert(steps).values({name: bindparam(name) for name in _TOLD}))
_INSERT_EDGES = Prepared(insert(edges).values({column.name: bindparam(column.name) for column in edges.c}))


def insert_steps(tx: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Insert new steps."""
    _INSERT_STEPS.change_many(tx, [row | {"outline": outline_of(row["signature"])} for row in rows])


def insert_imported_steps(tx: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Insert steps in any state with all their columns."""
    _LAY_STEPS.change_many(tx, [row | {"outline": outline_of(row["signature"])} for row in rows])


def insert_edges(tx: Connection, operation_id: int, pairs: Iterable[tuple[int, int]]) -> None:
    """Insert edges: (upstream, downstream) pairs of step numbers."""
    rows = [{"operation_id": operation_id, "upstream": up, "downstream": down} for up, down in pairs]
    if rows:
        _INSERT_EDGES.change_many(tx, rows)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A step that waits for another, and for how many it waits."""

    number: int
    waiting: int
    is_pending: bool


_OF_STEPS = steps.c.operation_id == bindparam("key_operation")
_OF_EDGES = edges.c.operation_id == bindparam("key_operation")
_LAST: Final = select(func.max(steps.c.number), func.max(steps.c.point)).where(_OF_STEPS)
_WAITING: Final = (
    select(steps.c.number, steps.c.waiting, steps.c.state == StepState.PENDING)
    .join(edges, (edges.c.operation_id == steps.c.operation_id) & (edges.c.downstream == steps.c.number))
    .where(_OF_STEPS, edges.c.upstream == bindparam("key_number"))
    .order_by(steps.c.number)
)
_CUT: Final = delete(edges).where(_OF_EDGES, edges.c.upstream == bindparam("key_number"))
_READY: Final = (
    select(*TASK_COLUMNS)
    .where(_OF_STEPS, steps.c.state == StepState.PENDING, steps.c.waiting == 0)
    .order_by(steps.c.number)
)
_MOVE: Final = Prepared(
    update(steps).where(_OF_STEPS, steps.c.number == bindparam("key_number")).values(waiting=bindparam("waiting"))
)
_OF_GROWTHS = growths.c.operation_id == bindparam("key_operation")
_LAST_EVER: Final = select(func.max(growths.c.last)).where(_OF_GROWTHS)
_GROWTHS: Final = select(growths.c.number, growths.c.growth).where(_OF_GROWTHS, growths.c.growth.is_not(None))
_INPUTS: Final = select(steps.c.number, steps.c.inputs).where(_OF_STEPS)
_SLUGS: Final = select(steps.c.slug).where(_OF_STEPS)
_REFERENCE: Final = (
    update(steps).where(_OF_STEPS, steps.c.number == bindparam("key_number"), steps.c.reference).values(reference=False)
)


def last_numbers(tx: Connection, operation_id: int) -> tuple[int, int]:
    """Return the largest number of a step and of a pause point that the operation ever had; 0 if there is none.

    The number of a removed step is not reused, because a worker may still hold a claim on it.
    """
    key = {"key_operation": operation_id}
    number, point = tx.execute(_LAST, key).one()
    removed: int | None = tx.execute(_LAST_EVER, key).scalar()
    return max(int(number), removed or 0), int(point or 0)


def slugs_within(tx: Connection, operation_id: int, prefix: str) -> set[str]:
    """Return the slugs of the operation with this prefix."""
    begins = func.substr(steps.c.slug, 1, len(prefix)) == prefix
    return set(tx.execute(_SLUGS.where(begins), {"key_operation": operation_id}).scalars())


def store_growth(tx: Connection, operation_id: int, number: int, growth: Growth, last: int) -> None:
    """Store the growth of a step; `last` is the largest number of the new steps."""
    row = {"operation_id": operation_id, "number": number, "last": last, "growth": growth.as_json()}
    mine = (growths.c.operation_id == operation_id) & (growths.c.number == number)
    if not tx.execute(update(growths).where(mine).values(last=last, growth=row["growth"])).rowcount:
        tx.execute(insert(growths), row)


def insert_growths(tx: Connection, operation_id: int, kept: Mapping[int, Growth]) -> None:
    """Insert the growths of an imported operation's steps."""
    rows = [
        {"operation_id": operation_id, "number": number, "last": 0, "growth": growth.as_json()}
        for number, growth in kept.items()
    ]
    if rows:
        tx.execute(insert(growths), rows)


def growths_among(tx: Connection, operation_id: int, numbers: Iterable[int]) -> dict[int, Growth]:
    """Return the growths of those of these steps that were replaced, by number."""
    found: dict[int, Growth] = {}
    every = sorted(numbers)
    for start in range(0, len(every), _AT_ONCE):
        query = _GROWTHS.where(growths.c.number.in_(every[start : start + _AT_ONCE]))
        rows = tx.execute(query, {"key_operation": operation_id})
        found |= {number: Growth.from_json(growth) for number, growth in rows}
    return found


def growths_of(tx: Connection, operation_id: int) -> dict[int, Growth]:
    """Return the growths of the operation's steps by number."""
    rows = tx.execute(_GROWTHS, {"key_operation": operation_id})
    return {number: Growth.from_json(growth) for number, growth in rows}


def inputs_of(tx: Connection, operation_id: int, numbers: Iterable[int]) -> dict[int, str | None]:
    """Return the inputs of these steps as JSON."""
    found: dict[int, str | None] = {}
    every = sorted(numbers)
    for start in range(0, len(every), _AT_ONCE):
        query = _INPUTS.where(steps.c.number.in_(every[start : start + _AT_ONCE]))
        found |= {number: inputs for number, inputs in tx.execute(query, {"key_operation": operation_id})}
    return found


def remove_growths(tx: Connection, operation_id: int, grown: Iterable[int], gone: Collection[int]) -> None:
    """Remove the steps that replaced others.

    Args:
        tx: A transaction that holds the operation.
        operation_id: The operation.
        grown: The steps that were replaced.
        gone: All the steps that are removed.
    """
    last = max(gone, default=0)
    for number in grown:
        mine = (growths.c.operation_id == operation_id) & (growths.c.number == number)
        tx.execute(update(growths).where(mine).values(growth=None))
        tx.execute(update(growths).where(mine, growths.c.last < last).values(last=last))
    every = sorted(gone)
    for start in range(0, len(every), _AT_ONCE):
        some = every[start : start + _AT_ONCE]
        here = (steps.c.operation_id == operation_id) & steps.c.number.in_(some)
        of_edges = edges.c.upstream.in_(some) | edges.c.downstream.in_(some)
        tx.execute(delete(edges).where(edges.c.operation_id == operation_id, of_edges))
        tx.execute(delete(steps).where(here))


def waiting_for(tx: Connection, operation_id: int, number: int) -> list[Waiting]:
    """Return the steps directly downstream of one."""
    rows = tx.execute(_WAITING, {"key_operation": operation_id, "key_number": number})
    return [Waiting(*row) for row in rows]


def hand_over(tx: Connection, operation_id: int, number: int, pairs: Iterable[tuple[int, int]]) -> bool:
    """Replace the edges from a step by these; return whether the step decided the operation's outcome."""
    key = {"key_operation": operation_id, "key_number": number}
    tx.execute(_CUT, key)
    insert_edges(tx, operation_id, pairs)
    return tx.execute(_REFERENCE, key).rowcount > 0


def restore(tx: Connection, operation_id: int, inputs: Mapping[int, str | None], deciding: Iterable[int]) -> None:
    """Restore the inputs of steps after others were removed, and mark these as deciding the outcome."""
    for number, given in inputs.items():
        mine = (steps.c.operation_id == operation_id) & (steps.c.number == number)
        tx.execute(update(steps).where(mine).values(inputs=given))
    for number in deciding:
        mine = (steps.c.operation_id == operation_id) & (steps.c.number == number)
        tx.execute(update(steps).where(mine).values(reference=True))


def change_waiting(tx: Connection, operation_id: int, waiting: Sequence[Waiting]) -> None:
    """Store how many steps others wait for now."""
    keys = [{"key_operation": operation_id, "key_number": one.number, "waiting": one.waiting} for one in waiting]
    if keys:
        _MOVE.change_many(tx, keys)


def ready_among(tx: Connection, operation_id: int, numbers: Iterable[int]) -> list[StepTask]:
    """Return those of these steps that are pending and wait for nothing."""
    every = sorted(numbers)
    found: list[StepTask] = []
    for start in range(0, len(every), _AT_ONCE):
        query = _READY.where(steps.c.number.in_(every[start : start + _AT_ONCE]))
        rows: Any = tx.execute(query, {"key_operation": operation_id})
        found += [StepTask(*row) for row in rows]
    return found
