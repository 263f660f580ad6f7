"""An operation in words: where it stands, how far it is, what runs, and what a person may do next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from app import clock
from app.cli.printing import duration, moment
from app.domain.states import Completion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from app.commands import View
    from app.store.operations import Operation, OperationSummary
    from app.store.step_queries import Running

#: In flight steps that are named; of more, only the number is told.
_NAMED: Final = 4


def standing(view: View) -> str:
    """One sentence: which operation, where it stands and why, how far it is, and what of it runs."""
    operation = view.operation
    parts = [f"Operation {operation.id} is {operation.completion}", far(operation), running(view)]
    if operation.reason and operation.completion in (Completion.REQUESTING_PAUSE, Completion.PAUSED):
        parts.append(f"reason: {operation.reason.rstrip('.')}")
    if operation.resume_at is not None:
        parts.append(f"goes on at {moment(operation.resume_at)}")
    return "; ".join(filter(None, parts)) + "."


def count(operation: OperationSummary) -> str:
    """How many of its steps have ended, of how many; empty where the rest never will: those count as ended too."""
    if operation.completion in (Completion.CANCELLED, Completion.FAILED):
        return ""
    return f"{done(operation)}/{operation.steps_total}"


def far(operation: Operation) -> str:
    """The same in words and in percent, rounded down: 100 only when all have ended."""
    if not count(operation):
        return ""
    percent = 100 * done(operation) // max(operation.steps_total, 1)
    return f"{done(operation)} of {operation.steps_total} steps, {percent} %"


def done(operation: OperationSummary) -> int:
    """How many of its steps have ended."""
    return operation.steps_done


def running(view: View) -> str:
    """The steps that run and for how long, or why none does."""
    if not view.in_flight and view.operation.completion is Completion.SCHEDULED:
        due = view.operation.due_at
        return "waits for a worker" if due is None else f"starts at {moment(due)}"
    if not view.in_flight:
        return ""
    named = [f"{step.slug} ({', '.join(_at(step))})" for step in view.in_flight[:_NAMED]]
    others = len(view.in_flight) - len(named)
    return f"running: {', '.join(named)}" + (f" and {others} more" if others else "")


def _at(step: Running) -> Iterator[str]:
    yield duration(clock.now() - step.started_at)
    if told := within(step.done, step.total):
        yield told


def within(done: int | None, total: int | None) -> str:
    """How far a step is by its own account; empty where its code tells nothing."""
    if done is None:
        return ""
    return f"{done:,}" if total is None else f"{done:,} of {total:,}"


def holder(step: Running) -> str:
    """Where a step runs, and for how long."""
    where = f" on {step.host}" if step.host else ""
    process = f", process {step.process}" if step.process else ""
    since = duration(clock.now() - step.started_at)
    if not step.is_confirmed:
        return f"{step.slug}{where}{process}, perhaps: its worker has been silent, and lost for {since}"
    told = within(step.done, step.total)
    return f"{step.slug}{where}{process}, for {since}" + (f", {told}" if told else "")


def lasted(operation: OperationSummary) -> float | None:
    """The seconds from its first step to its end, or to now; None while it has not begun or is PAUSED."""
    if operation.started_at is None or operation.completion is Completion.PAUSED:
        return None
    return (operation.finished_at or clock.now()) - operation.started_at


def failure(operation: Operation) -> dict[str, Any]:
    """What made it fail: `step`, `type`, `message`, `traceback`; empty where nothing did."""
    facts: dict[str, Any] = json.loads(operation.error) if operation.error else {}
    return facts


def failed(fault: Mapping[str, Any]) -> str:
    """Return what failed, by the facts of `failure`: a step, or what belongs to the operation itself."""
    return f"Step {fault['step']} failed" if fault.get("step") else "A state handler of the operation failed it"


def advice(operation: Operation) -> str:
    """The command that people mostly want next; none where the operation has simply ended."""
    match operation.completion:
        case Completion.PAUSED:
            return f"`flask operations resume {operation.id}` lets it go on."
        case Completion.COMPLETED:
            return f"`flask operations show {operation.id} --result` prints its result."
        case Completion.FAILED:
            more, again = (f"`flask operations {verb} {operation.id}`" for verb in ("show", "retry"))
            has_more_to_run = bool(failure(operation).get("step"))
            return f"{more} tells more; {again} runs again what failed." if has_more_to_run else f"{more} tells more."
        case Completion.CANCELLED:
            return ""
        case _:
            return f"`flask operations watch {operation.id}` follows it."
