"""How an operation stands once steps of it have ended: what is left, how it ends, and with which result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from app.domain.graph import Inputs, gather, numbers_in
from app.domain.states import BAD, CLAIMABLE, DONE, ENDED, FINAL, REQUESTING, Completion, StepState
from app.execution.endings import words_of_facts
from app.execution.values import compact, decode, encode
from app.results.references import stored_value
from app.store import steps as store
from app.store.endings import reference_states
from app.store.events import append_event
from app.store.step_queries import is_anything_running, results_of
from app.texts import REASON, cut

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from app.execution.endings import Ending
    from app.execution.engine import Engine
    from app.execution.settling import Ended
    from app.execution.spreading import Spread
    from app.store.operations import Operation

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


def counted(operation: Operation, ended: Sequence[Ended], found: Spread) -> Operation:
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
        is_asked = after.completion is _C.REQUESTING_PAUSE
        who, why = "step" if is_asked else "worker", after.reason if is_asked or after.completion in ENDED else None
        append_event(tx, before.id, at=now, who=who, old=before.completion, new=after.completion, why=why)
