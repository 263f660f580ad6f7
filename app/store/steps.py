"""The statements that change `steps`: each moves a state, guarded by its source, under the operation's lock.

What inserts steps lives in `app.store.laying`, what only reads them in `app.store.step_queries`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Boolean, Float, bindparam, case, not_, null, or_, update

from app.domain.states import IDLE, StepState
from app.store.prepared import Prepared
from app.store.tables import steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Case, Connection, Update

_S = StepState
#: Steps that one statement names at the most.
AT_ONCE: Final = 500
#: Steps that are changed one by one: that is quicker than a statement made for as many.
_FEW: Final = 8

#: What a worker must know of a step in order to run it.
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
    """A step as a worker needs it; `claim` is the number it is claimed under, or was last.

    `spoiled` counts its upstreams that ended without success; a `plain` one asks for nothing but success before it, and
    nobody is told how it ends. `cursor` is the place that an earlier run of it has kept, as JSON.
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
        """The signature, read."""
        call: dict[str, Any] = json.loads(self.signature)
        return call

    @property
    def task(self) -> str:
        """The registered name of the task."""
        return str(self.call["task"])

    def claimed(self) -> StepTask:
        """The step as it is once it has been claimed to be run."""
        return replace(self, claim=self.claim + 1, runs=self.runs + 1)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a claim: a worker incarnation, and the process of its pool, known by its id and its start."""

    worker_id: int | None
    process: int
    process_start: int | None = None


_HAS_PLACE = bindparam("has_place", type_=Boolean)


def _unless_well(name: str, given: str) -> Case[Any]:
    """A column of the cursor: a step keeps it until it has ended well, and moves it where a place is given."""
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
        publishes=0,  # its message came: what is published from now on is a first message again
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
        # As in `app.store.cursors`, a place that has moved forgets the losses.
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
)
_RELEASE_FIRST = (
    update(steps)
    .where(_OPERATION, steps.c.state == _S.PAUSED)
    .values(state=_S.QUEUED, due_at=bindparam("due_at"), publishes=0)
)
_PARK = update(steps).where(_OPERATION, steps.c.state == _S.RETRYING).values(parked=True)
_UNPARK = update(steps).where(_OPERATION, steps.c.parked).values(parked=False)
_HOLD_QUEUED = update(steps).where(_OPERATION, steps.c.state == _S.QUEUED).values(state=_S.PAUSED, due_at=None)
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
    """Claim a queued step; None when it is not queued, or its pause point's own clause has yet to be asked."""
    key = {"key_operation": operation_id, "key_number": number}
    row = _CLAIM.first(tx, {**key, **_holding(holder), "now": now})
    return row and StepTask(*row)


def claim_next(tx: Connection, operation_id: int, step: StepTask, holder: Holder, now: float) -> bool:
    """Claim a step that the settling worker goes on with; False when somebody changed it meanwhile."""
    key = {"key_operation": operation_id, "key_number": step.number, "key_claim": step.claim}
    return _CONTINUE.change(tx, {**key, **_holding(holder), "now": now}) == 1


def _holding(holder: Holder) -> dict[str, int | None]:
    return {"worker_id": holder.worker_id, "process": holder.process, "process_start": holder.process_start}


def record(tx: Connection, rows: Sequence[dict[str, Any]]) -> bool:
    """Record how steps ended, each under the state and claim it is expected to have; False when one has another."""
    return _RECORD.change_many(tx, rows) == len(rows)


def release(tx: Connection, operation_id: int, due: Mapping[int, float]) -> None:
    """Queue ready steps, each with the time when it is published again if nobody has claimed it."""
    alike: defaultdict[float, list[int]] = defaultdict(list)
    for number, at in due.items():
        alike[at].append(number)
    for at, numbers in alike.items():
        _change(tx, _RELEASE, _RELEASE_SOME, {"key_operation": operation_id, "due_at": at}, numbers)


def hold(tx: Connection, operation_id: int, numbers: Sequence[int]) -> None:
    """Hold ready steps at their pause point."""
    _change(tx, _HOLD, _HOLD_SOME, {"key_operation": operation_id}, numbers)


def _change(tx: Connection, one: Prepared, some: Update, key: dict[str, Any], numbers: Sequence[int]) -> None:
    """Change steps alike: a few one by one, which is quicker, many by a statement for each `AT_ONCE`."""
    if len(numbers) <= _FEW:
        for number in numbers:
            one.change(tx, key | {"key_number": number})
        return
    for start in range(0, len(numbers), AT_ONCE):
        tx.execute(some, key | {"key_numbers": numbers[start : start + AT_ONCE]})


def release_held(tx: Connection, operation_id: int, due_at: float) -> int:
    """Queue every held step; their points are not asked again. Returns how many."""
    return tx.execute(_RELEASE_HELD, {"key_operation": operation_id, "due_at": due_at}).rowcount


def release_first(tx: Connection, operation_id: int, due_at: float) -> int:
    """Queue the first steps of an operation, held until its time to start; their points are yet to be asked."""
    return tx.execute(_RELEASE_FIRST, {"key_operation": operation_id, "due_at": due_at}).rowcount


def hold_queued(tx: Connection, operation_id: int) -> int:
    """Hold every queued step: the pause takes effect before anybody claimed it. Returns how many."""
    return tx.execute(_HOLD_QUEUED, {"key_operation": operation_id}).rowcount


def park(tx: Connection, operation_id: int) -> None:
    """Keep the steps that wait for a retry out of every sweep: their operation is paused."""
    tx.execute(_PARK, {"key_operation": operation_id})


def unpark(tx: Connection, operation_id: int) -> None:
    """Let sweeps see again what was parked: the operation goes on."""
    tx.execute(_UNPARK, {"key_operation": operation_id})


def answer_point(tx: Connection, operation_id: int, point: int | None, *, pause: bool) -> int:
    """Write down what a pause point's own clause answered, for all steps behind it. Returns how many."""
    statement = _HOLD_POINT if pause else _PASS_POINT
    return tx.execute(statement, {"key_operation": operation_id, "key_point": point}).rowcount


def cancel_idle(tx: Connection, operation_id: int, now: float) -> int:
    """Cancel every step that has not ended and does not run. Returns how many."""
    return tx.execute(_CANCEL, {"key_operation": operation_id, "now": now}).rowcount


def publish_again(
    tx: Connection, operation_id: int, number: int, publishes: int, *, now: float, due_at: float
) -> StepTask | None:
    """Queue a step that is due, so that its one winner publishes it; None when another was first."""
    key = {"key_operation": operation_id, "key_number": number, "key_publishes": publishes}
    row = tx.execute(_PUBLISHED_AGAIN, key | {"now": now, "due_at": due_at}).first()
    return StepTask(*row) if row else None


def postpone(tx: Connection, operation_id: int, numbers: Sequence[int], seconds: float) -> None:
    """Let steps wait so much longer for their retry."""
    _change(tx, _POSTPONE, _POSTPONE_SOME, {"key_operation": operation_id, "seconds": seconds}, numbers)


def mark_unpublished(tx: Connection, operation_id: int, numbers: Iterable[int], due_at: float) -> None:
    """Bring forward when queued steps are published again: the broker did not take them."""
    keys = [{"key_operation": operation_id, "key_number": number, "due_at": due_at} for number in numbers]
    _UNPUBLISHED.change_many(tx, keys)
