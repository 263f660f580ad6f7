"""Claim a queued step: the first thing a delivery does, and where a pause point is asked."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pausable import clock
from pausable.canvas.pause import ask
from pausable.canvas.signatures import bound_call, call_of
from pausable.canvas.task import is_author_error
from pausable.canvas.values import decode, is_tagged
from pausable.db import transitions as store
from pausable.db.database import is_unknown_reference, retry_outages
from pausable.db.operations import Operation, find_operation
from pausable.db.steps import find_step, held_step, is_anything_running, queued_steps, results_of
from pausable.db.transitions import growths_among
from pausable.engine.change import changing, until_committed
from pausable.engine.checkpoints import load
from pausable.engine.drain import drain
from pausable.engine.finish import End, beginning
from pausable.engine.outcome import Ended, Ending, failed, kept_text
from pausable.engine.publish import not_before
from pausable.engine.release import fail, settle_and_tell
from pausable.engine.settle import settle_and_confirm
from pausable.errors import ClaimLost, OperationNotFound
from pausable.model.graph import Inputs, gather, numbers_in, with_growths
from pausable.model.states import CLAIMABLE, Completion, Paused, State, StepState
from pausable.processes import ending_children

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pausable.db.database import Database
    from pausable.db.transitions import StepTask
    from pausable.engine.change import Change
    from pausable.engine.engine import Engine
    from pausable.model.graph import Growth


def claim(engine: Engine, operation_id: int, number: int, moments: list[float] | None = None) -> StepTask | None:
    """Claim a step that was delivered; None when it is no longer to be run, or not now.

    To `moments` is added when the claim is made, before it is.
    """
    with engine.database.glance() as tx:
        found = find_step(tx, operation_id, number)
    if found is None or found[1] is not StepState.QUEUED:
        return None  # it has run beside another, and its message comes late: it waits for no writer to learn that
    if not engine.enter():
        return None
    # A power cut that takes this commit takes the worker too: the step is queued again, and nobody holds the old claim.
    step = None
    with suppress(OperationNotFound), changing(engine, operation_id, survives_power_cut=False) as op:
        operation = op.operation
        if operation.completion not in CLAIMABLE:
            return None
        is_begun = operation.started_at is not None or not engine.policies.asks_handlers(operation)
        if not is_begun and is_anything_running(op.tx, operation_id):
            return None  # whoever runs asks the state handlers whether the operation may begin, and publishes this then
        if moments is not None:
            moments.append(op.now)
        step = store.claim_step(op.tx, operation_id, number, engine.holder(), op.now)
        if step and is_begun:
            begin(op)
        if step:
            op.announcer.start(operation, step)
    return step or (_claim_past_clause(engine, operation_id, number, moments) if found[0].clause else None)


def claim_and_confirm(engine: Engine, operation_id: int, number: int) -> StepTask | None:
    """Claim as `claim` does, as often as the database refuses for the moment.

    A commit that gave no answer may have made the claim: then it is this process's, and nobody else would run the step.
    One that was made at another moment is that of another slice here, which took the step beside its own.
    """
    moments: list[float] = []

    def attempt() -> StepTask | None:
        while engine.enter():
            try:
                return claim(engine, operation_id, number, moments)
            except Exception as fault:
                if not is_unknown_reference(fault):
                    raise
                engine.incarnation.forget()  # somebody took the worker's row away: it is entered again
        return None

    def made() -> StepTask | None:
        return _held_here(engine, operation_id, number, moments) if moments and engine.enter() else None

    with _taking(engine.database, operation_id, number) as is_first:
        return until_committed(attempt, made) if is_first else None


def _held_here(engine: Engine, operation_id: int, number: int, moments: Collection[float]) -> StepTask | None:
    with engine.database.glance() as tx:
        return held_step(tx, operation_id, number, engine.holder(), moments)


_taken: set[tuple[Database, int, int]] = set()
_taking_turns = threading.Lock()


@contextmanager
def _taking(database: Database, operation_id: int, number: int) -> Iterator[bool]:
    """Whether no other thread of this process is claiming this step: two could not be told apart after a doubt.

    In another database a step of that number is another step: engines in memory all begin with operation 1.
    """
    key = (database, operation_id, number)
    with _taking_turns:
        is_first = key not in _taken
        _taken.add(key)
    try:
        yield is_first
    finally:
        if is_first:
            _taken.discard(key)


def call_with(
    engine: Engine, operation_id: int, step: StepTask, known: Mapping[int, str | None]
) -> tuple[list[Any], dict[str, Any]]:
    """What to call a step's task with; upstream results are looked up in `known` first, then in the table."""
    call = whole_call(step)
    if step.inputs is None or call.get("complete"):
        return call_of(call)
    inputs: Inputs = json.loads(step.inputs)
    inputs, results = _resolved(engine, operation_id, inputs, known)
    value = gather(inputs, {number: load(result) for number, result in results.items()})
    if not isinstance(inputs, dict):
        return call_of(call, value)
    return bound_call(call, value, has_first=inputs["first"] is not None)


def whole_call(step: StepTask) -> dict[str, Any]:
    """The step's call, with the values that its arguments stand for."""
    call: dict[str, Any] = decode(step.signature) if is_tagged(step.signature) else step.call
    return call


def upstream_value(engine: Engine, operation_id: int, inputs: Inputs, known: Mapping[int, str | None]) -> Any:
    """The results that `inputs` names, in its shape. Raises a kind of ResultFault for one that cannot be loaded."""
    inputs, results = _resolved(engine, operation_id, inputs, known)
    return gather(inputs, {number: load(result) for number, result in results.items()})


def _resolved(
    engine: Engine, operation_id: int, inputs: Inputs, known: Mapping[int, str | None]
) -> tuple[Inputs, dict[int, str | None]]:
    """Return inputs with what replaced steps stand for in their places, and the results of all that they name.

    A step that was replaced has no result of its own, so only for steps without one is it asked whether they were.
    """
    found: dict[int, str | None] = {}
    growths: dict[int, Growth] = {}
    ahead = set(numbers_in(inputs))
    while ahead:
        results = {number: known[number] for number in ahead & known.keys()}
        if missing := ahead - results.keys():
            with engine.database.glance() as tx:
                results |= results_of(tx, operation_id, missing)
        found |= results
        empty = [number for number, result in results.items() if result is None]
        if not empty:
            break
        with engine.database.glance() as tx:
            grown = growths_among(tx, operation_id, empty)
        growths |= grown
        ahead = {number for growth in grown.values() for number in numbers_in(growth.value)} - found.keys()
    return with_growths(inputs, growths)[0] if growths else inputs, found


def begin(op: Change) -> None:
    """Note that the operation is in progress, and since when."""
    is_first = op.operation.completion is Completion.SCHEDULED
    completion = Completion.IN_PROGRESS if is_first else op.operation.completion
    after = replace(op.operation, completion=completion, started_at=op.operation.started_at or op.now)
    if is_first:
        op.move(after, who="worker", is_news=True)
    else:
        op.save(after)


def _claim_past_clause(engine: Engine, operation_id: int, number: int, moments: list[float] | None) -> StepTask | None:
    """Ask the clause that a queued step waits behind, outside any transaction, and claim the step if it says go on."""
    with engine.database.glance() as tx:
        found = find_step(tx, operation_id, number)
    if found is None or found[1] is not StepState.QUEUED or not found[0].clause or found[0].passed:
        return None
    step = found[0]
    try:
        retval = retry_outages(partial(_handed, engine, operation_id, step))
        with ending_children():
            pause = ask(decode(step.clause), retval, engine.app)
    except BaseException as fault:  # the author's code may raise anything, and raises it again when it is asked again
        if not is_author_error(fault):
            raise
        _fail(engine, operation_id, step, fault)
        return None
    _answer(engine, operation_id, step, pause=pause)
    return None if pause else claim(engine, operation_id, number, moments)


def _handed(engine: Engine, operation_id: int, step: StepTask) -> Any:
    return upstream_value(engine, operation_id, json.loads(step.inputs), {}) if step.inputs else None


def _answer(engine: Engine, operation_id: int, step: StepTask, *, pause: bool) -> None:
    """Write the clause's answer down, and publish the other steps behind the point if it says go on."""
    with suppress(OperationNotFound), changing(engine, operation_id) as op:
        if op.operation.completion not in CLAIMABLE:
            return
        store.answer_point(op.tx, operation_id, step.point, pause=pause)
        if pause:
            why = f"the pause point before {step.slug} asked for it"
            after = replace(op.operation, completion=Completion.REQUESTING_PAUSE, reason=why)
            op.move(after, who="clause", why=why)
        behind = [one for one in queued_steps(op.tx, operation_id) if one.point == step.point]
        op.publish([one for one in behind if one.number != step.number and not_before(one.call, op.now) is None])


def fail_unclaimed(engine: Engine, operation_id: int, number: int, fault: BaseException) -> None:
    """End a queued step as Failed with what keeps it from being claimed as others are."""

    def claim_bare() -> StepTask | None:
        if not engine.enter():
            return None
        with suppress(OperationNotFound), changing(engine, operation_id) as op:
            if op.operation.completion in CLAIMABLE:
                return store.claim_step(op.tx, operation_id, number, engine.holder(), op.now)
        return None

    if step := retry_outages(claim_bare):
        fail(engine, operation_id, step, fault)


def _fail(engine: Engine, operation_id: int, step: StepTask, fault: BaseException) -> None:
    """End all that waits behind a point whose clause raised: nobody can tell whether it may go on."""
    with suppress(OperationNotFound), changing(engine, operation_id) as op:
        if op.operation.completion not in CLAIMABLE:
            return
        behind = [one.number for one in queued_steps(op.tx, operation_id) if one.point == step.point]
        store.answer_point(op.tx, operation_id, step.point, pause=False)
        claimed = [store.claim_step(op.tx, operation_id, number, engine.holder(), op.now) for number in behind]
        ended = [Ended(one, failed(fault), True, op.now, op.now) for one in claimed if one]
        if ended:  # else another worker has asked too, and was first
            op.then(partial(settle_and_tell, engine, operation_id, ended))


def may_begin_operation(engine: Engine, operation_id: int, step: StepTask) -> bool:
    """Whether the step that was claimed may run, as far as its operation's state handlers are concerned.

    When it may not, it has been settled with what they wanted instead. Raises ClaimLost.
    """
    if not engine.policies.has_handlers:
        return True
    operation = retry_outages(partial(_unbegun, engine, operation_id))
    if operation is None:
        return True
    started_at = clock.now()
    answer = beginning(engine, operation)
    if isinstance(answer, State) and answer.is_running():
        retry_outages(partial(_begin, engine, operation_id, step))
        return True
    _end_here(engine, operation_id, answer, step, started_at)
    return False


def _unbegun(engine: Engine, operation_id: int) -> Operation | None:
    with engine.database.glance() as tx:
        operation = find_operation(tx, operation_id)
    if operation is None or operation.started_at is not None:
        return None
    return operation if engine.policies.asks_handlers(operation) else None


def _begin(engine: Engine, operation_id: int, step: StepTask) -> None:
    """Note the beginning under this step's claim, and publish what waited for it."""
    try:
        with changing(engine, operation_id) as op:
            present = find_step(op.tx, operation_id, step.number)
            if present is None or (present[0].claim, present[1]) != (step.claim, StepState.RUNNING):
                raise ClaimLost(operation_id)
            begin(op)
            waiting = queued_steps(op.tx, operation_id) if op.operation.completion in CLAIMABLE else []
            op.publish([one for one in waiting if not_before(one.call, op.now) is None])
    except OperationNotFound:
        raise ClaimLost(operation_id) from None


def _end_here(engine: Engine, operation_id: int, answer: State | End, step: StepTask, started_at: float) -> None:
    """End or pause an operation that has not begun: until that is written, nobody else may claim a step of it."""
    if isinstance(answer, End):
        ending, end = Ending(StepState.CANCELLED), answer
    else:
        until = answer.start_time.timestamp() if isinstance(answer, Paused) and answer.start_time else None
        message = None if answer.message is None else kept_text(answer.message)
        ending, end = Ending(StepState.PAUSED, message=message, due_at=until), None
    settle_and_confirm(engine, operation_id, [Ended(step, ending, True, started_at, clock.now())], end=end)
    drain(engine, operation_id)
