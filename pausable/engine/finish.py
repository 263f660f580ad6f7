"""What the end of steps means for their successors and for the operation: what is ready, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from pausable.canvas.task import is_author_error
from pausable.canvas.values import compact, decode, encode
from pausable.db import transitions as store
from pausable.db.history import append_event
from pausable.db.steps import is_anything_running, results_of
from pausable.db.transitions import reference_states
from pausable.engine.announce import RUNNING, end_of, operation_state, subject_of
from pausable.engine.checkpoints import load_outcome, small
from pausable.engine.handlers import Fitting, kept_state
from pausable.engine.outcome import failed, kept_text, storable, words_of_facts
from pausable.errors import ResultFault
from pausable.model.graph import Inputs, gather, numbers_in
from pausable.model.states import (
    BAD,
    CLAIMABLE,
    DONE,
    ENDED,
    FINAL,
    GOOD,
    REQUESTING,
    Completion,
    Paused,
    Running,
    Scheduled,
    State,
    StepState,
)
from pausable.model.triggers import not_run_after
from pausable.results.references import stored_value
from pausable.texts import REASON, cut

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pausable.db.database import Connection
    from pausable.db.operations import Operation
    from pausable.db.transitions import StepTask
    from pausable.engine.engine import Engine
    from pausable.engine.outcome import Ended, Ending


@dataclass(slots=True)
class Propagated:
    """The steps that became ready, and how many ended without having run: of these so many were skipped."""

    ready: list[StepTask] = field(default_factory=list)
    ended: int = 0
    skipped: int = 0


def propagate(tx: Connection, operation_id: int, ended: Iterable[Ended], now: float) -> Propagated:
    """Count down whatever waits for these steps, as they have ended."""
    found = Propagated()
    spoiled: list[int] = []
    good: list[int] = []
    for one in ended:
        state, number = one.ending.state, one.step.number
        if one.ending.graph is not None:
            continue  # what waits for it waits for those that it put in its place
        if state in GOOD:
            good += [number] if one.is_awaited else []
        elif state in BAD:
            why = not_run_after({one.step.slug: state}, "all_successful")
            also = store.propagate_failure(tx, operation_id, [number], now, why)
            found.ended += len(also)
            spoiled += [number, *also]
        elif state is StepState.SKIPPED:
            spoiled.append(number)
    spoiled += _sort(tx, operation_id, store.count_down(tx, operation_id, good), found, now)
    while spoiled:
        spoiled = _sort(tx, operation_id, store.spoil(tx, operation_id, spoiled), found, now)
    found.ready.sort(key=lambda step: step.number)
    return found


def _sort(tx: Connection, operation_id: int, free: Iterable[StepTask], found: Propagated, now: float) -> list[int]:
    """Take in the steps that wait for nothing any more; returns those that were skipped at once.

    A plain step with a spoiled upstream is: had that ended badly, the step would have ended with it.
    """
    skipped: list[int] = []
    for step in free:
        if step.plain and step.spoiled:
            skipped.append(step.number)
        else:
            found.ready.append(step)
    store.skip(tx, operation_id, skipped, now)
    found.ended += len(skipped)
    found.skipped += len(skipped)
    return skipped


_C = Completion
_S = StepState
#: Ends of steps that are told in the history.
_TOLD = frozenset(StepState) - {_S.SUCCESS}


@dataclass(frozen=True, slots=True)
class End:
    """How an operation is to end, with which error or result; one that is cut short leaves steps that never ran."""

    completion: Completion
    error: str | None = None
    result: str | None = None
    is_cut: bool = False
    #: What a state handler said of it.
    reason: str | None = None


class EndAsked(Exception):
    """An operation is about to end about which more than the table is to be asked; carries it as it would stand."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        super().__init__(operation.id)


def asked_to_pause(operation: Operation, ended: Sequence[Ended]) -> Operation:
    """The operation, a pause requested if one of the steps has ended so as to ask for it."""
    asking = next((one for one in ended if one.ending.state is _S.PAUSED), None)
    if asking is None or operation.completion not in CLAIMABLE:
        return operation
    begun, ending = operation.started_at or asking.started_at, asking.ending
    return replace(
        operation,
        completion=_C.REQUESTING_PAUSE,
        reason=ending.message and cut(ending.message, REASON),  # which every list shows
        started_at=begun,
        due_at=ending.due_at,  # when the service resumes it
    )


def placed(operation: Operation, ended: Sequence[Ended], due_at: float) -> Sequence[Ended]:
    """The ends; a step that stopped at its cursor is held where it was asked to, and else published again, surely then.

    A pause may have been withdrawn since the step saw it, so this is for the transaction to say.
    """
    return [replace(one, ending=_placed(operation, one, due_at)) for one in ended]


def _placed(operation: Operation, one: Ended, due_at: float) -> Ending:
    if one.ending.state is not _S.QUEUED:
        return one.ending
    if operation.completion in REQUESTING:
        return replace(one.ending, state=_S.PAUSED)
    return replace(one.ending, due_at=due_at)


def counted(operation: Operation, ended: Sequence[Ended], found: Propagated) -> Operation:
    """The operation, these ends and what they meant for others taken into account."""
    states = [one.ending.state for one in ended]
    done = sum(state in DONE for state in states) + found.skipped
    error = operation.error or next((error_of(one) for one in ended if one.ending.state in BAD), None)
    return replace(
        operation,
        steps_left=operation.steps_left - sum(state in FINAL for state in states) - found.ended,
        steps_done=operation.steps_done + done,
        error=error,
    )


def error_of(one: Ended) -> str:
    """Return the facts of a step's failure as those of its operation, in JSON."""
    return encode({"step": one.step.slug, **(decode(one.ending.error) or {})})


def finished(
    tx: Connection, engine: Engine, operation: Operation, ended: Sequence[Ended], end: End | None, now: float
) -> Operation:
    """The operation once nothing is left of it.

    Raises EndAsked when its state handlers have yet to be asked, or its result is yet to be put into a store.
    """
    if end:
        return _ended(operation, end, now)
    after = replace(operation, completion=_completion(tx, operation), finished_at=now, reason=None)
    if after.completion is _C.COMPLETED:
        after = replace(after, error=None, result=_outcome(tx, operation, ended))
    if engine.policies.asks_handlers(operation) or len(after.result or "") > engine.large:
        raise EndAsked(after)
    return after


def _ended(operation: Operation, end: End, now: float) -> Operation:
    return replace(
        operation, completion=end.completion, finished_at=now, error=end.error, result=end.result, reason=end.reason
    )


def _completion(tx: Connection, operation: Operation) -> Completion:
    """How its reference steps let an operation end; where all steps have ended well, they need not be looked at."""
    if operation.steps_done == operation.steps_total:
        return _C.COMPLETED
    states = reference_states(tx, operation.id)
    if states & {_S.FAILED, _S.TRIGGER_FAILED}:
        return _C.FAILED
    return _C.CANCELLED if _S.CANCELLED in states else _C.COMPLETED


def _outcome(tx: Connection, operation: Operation, ended: Sequence[Ended]) -> str | None:
    known = {one.step.number: one.ending.result for one in ended}
    outcome: Inputs = decode(operation.outcome)
    if isinstance(outcome, int) and outcome in known:
        return known[outcome]
    missing = set(numbers_in(outcome)) - known.keys()
    results = known | results_of(tx, operation.id, missing)
    # As they stand in the table: what a reference stands for is not loaded within a transaction.
    return compact(gather(outcome, {number: stored_value(result) for number, result in results.items()}))


def cancelled_if_idle(tx: Connection, operation: Operation, now: float) -> Operation:
    """The operation, cancelled if that was requested and nothing of it runs."""
    if operation.completion is _C.REQUESTING_CANCEL and not is_anything_running(tx, operation.id):
        return cancelled(tx, operation, now)
    return operation


def cancelled(tx: Connection, operation: Operation, now: float) -> Operation:
    """The operation once all its steps that had not ended are cancelled."""
    store.cancel_idle(tx, operation.id, now)
    return replace(operation, completion=_C.CANCELLED, steps_left=0, finished_at=now)


def cut_short(tx: Connection, operation: Operation, end: End, now: float) -> Operation:
    """The operation ended as given, all its steps that had not ended being cancelled."""
    store.cancel_idle(tx, operation.id, now)
    return replace(_ended(operation, end, now), steps_left=0)


def tell(tx: Connection, before: Operation, after: Operation, ended: Iterable[Ended], now: float) -> None:
    """Append to the history what is worth telling of these ends, and where the operation stands since."""
    for one in ended:
        if one.ending.state in _TOLD and one.started_at is not None:
            append_event(
                tx, before.id, at=now, who="worker", step=one.step.slug, old=StepState.RUNNING, new=one.ending.state,
                why=one.ending.message or (words_of_facts(decode(one.ending.error)) if one.ending.error else None),
            )  # fmt: skip
    if before.completion is not after.completion:
        who = "step" if after.completion is _C.REQUESTING_PAUSE else "worker"
        append_event(tx, before.id, at=now, who=who, old=before.completion, new=after.completion, why=_why(after))


def _why(operation: Operation) -> str | None:
    """Return why the operation asks for a pause or has ended, as far as no event of a step says so already."""
    error = decode(operation.error) if operation.error and operation.completion is _C.FAILED else {"step": ""}
    if "step" not in error:  # a state handler of the operation failed it
        return words_of_facts(error)
    return operation.reason if operation.completion in (_C.REQUESTING_PAUSE, *ENDED) else None


_END: Final[Fitting] = (lambda state: state.is_finished(), "a finished state")
_BEGIN: Final[Fitting] = (
    lambda state: state.is_running() or state.is_finished() or type(state) is Paused,
    "Running, Paused or a finished state",
)


def kept_end(engine: Engine, asked: EndAsked) -> End:
    """How the operation ends, its state handlers having been asked and a large result put into a store."""
    operation = asked.operation
    if not engine.policies.asks_handlers(operation):
        return _as_it_is(engine, operation)
    try:
        proposed, same = _proposed(operation), _proposed(operation)
    except ResultFault as fault:
        return End(Completion.FAILED, failed(fault).error)
    if proposed is None:
        return _as_it_is(engine, operation)
    kept = _kept(engine, operation, Running(RUNNING), proposed, _END)
    if kept is proposed and same is not None and proposed.says_the_same(same):  # a handler may change what it is shown
        return _as_it_is(engine, operation)
    return kept if isinstance(kept, End) else _end(engine, operation, kept)


def _as_it_is(engine: Engine, operation: Operation) -> End:
    """The end that nobody has changed; a list of results may be large though none of them is."""
    try:
        result = operation.result and small(engine, operation.id, "result", operation.result)
    except ResultFault as fault:
        return End(Completion.FAILED, failed(fault).error)
    return End(operation.completion, operation.error, result)


def _proposed(operation: Operation) -> State | None:
    """The state that an operation would end in, its result loaded. Raises a kind of ResultFault."""
    proposed = operation_state(operation)
    if operation.completion is Completion.COMPLETED and proposed is not None and operation.result is not None:
        proposed.result = load_outcome(operation.result, decode(operation.outcome))
    return proposed


def beginning(engine: Engine, operation: Operation) -> End | State:
    """Running when the operation may begin, Paused when it is to pause at once, or how it ends before it has begun."""
    kept = _kept(engine, operation, Scheduled(), Running(RUNNING), _BEGIN)
    if isinstance(kept, End) or not kept.is_finished():
        return kept
    return _end(engine, operation, kept, is_cut=True)


def _kept(engine: Engine, operation: Operation, old: State, proposed: State, fitting: Fitting) -> State | End:
    try:
        handlers = engine.policies.of_operation(operation).handlers
        return kept_state(handlers, subject_of(operation), old, proposed, fitting)
    except BaseException as fault:  # the author's code may raise anything; its operation fails with that
        if not is_author_error(fault):
            raise
        return End(Completion.FAILED, failed(fault).error, is_cut=old.is_scheduled())


def _end(engine: Engine, operation: Operation, state: State, *, is_cut: bool = False) -> End:
    completion = end_of(state)
    try:
        text = storable(state.name, state.result) if completion is Completion.COMPLETED else None
        result = text and small(engine, operation.id, "result", text)
    except Exception as why:  # what it carries is no value of JSON's, or cannot be kept
        return End(Completion.FAILED, failed(why).error, is_cut=is_cut)
    error = None
    if completion is Completion.FAILED:
        error = encode({"type": state.name, "message": kept_text(state.message or ""), "traceback": ""})
    said = None if completion is Completion.FAILED else state.message
    return End(completion, error, result, is_cut, kept_text(said) if said else None)
