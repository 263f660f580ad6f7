"""Write notifications into the outbox, in the transaction of the change that they report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pausable.engine.handlers import Subject
from pausable.engine.outcome import starting, state_of, words_of_facts
from pausable.model.states import (
    Attributes,
    Cancelled,
    Completion,
    Failed,
    Paused,
    Pending,
    Running,
    Scheduled,
    State,
    StepState,
    Success,
)
from pausable.results.references import unescaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pausable.db.database import Connection
    from pausable.db.operations import Operation
    from pausable.db.transitions import StepTask
    from pausable.engine.engine import Engine
    from pausable.engine.outcome import Ended

RUNNING: Final = "Running flow."
_SUCCEEDED: Final = "All reference tasks succeeded."
_FAILED: Final = "Some reference tasks failed."
_CANCELLED: Final = "Flow run is cancelled."

#: What an operation's end is called in the table, by the state that is kept for it.
ENDS: Final[Mapping[type[State], Completion]] = {
    Success: Completion.COMPLETED,
    Failed: Completion.FAILED,
    Cancelled: Completion.CANCELLED,
}


def operation_state(operation: Operation) -> State | None:
    """The state of an operation as it stands; None where people's code is told of none: something is requested."""
    completion = operation.completion
    if completion is Completion.COMPLETED:
        result = None if operation.result is None else json.loads(unescaped(operation.result))
        return Success(operation.reason or _SUCCEEDED, result)
    if completion is Completion.FAILED:
        error = json.loads(operation.error or "{}")
        return Failed(_failure(error), Attributes(error))
    if completion is Completion.PAUSED:
        until = operation.resume_at
        return Paused(operation.reason, start_time=None if until is None else datetime.fromtimestamp(until, UTC))
    plain: dict[Completion, State] = {
        Completion.SCHEDULED: Scheduled(),
        Completion.IN_PROGRESS: Running(RUNNING),
        Completion.CANCELLED: Cancelled(operation.reason or _CANCELLED),
    }
    return plain.get(completion)


def _failure(error: Mapping[str, Any]) -> str:
    """Why an operation failed, in one line: the step that failed first, or what its own handlers said."""
    words = words_of_facts(error)
    if "step" in error:
        return f"{_FAILED} {error['step']}: {words}"
    return words or _FAILED


def end_of(state: State) -> Completion:
    """Where an operation stands that ends in this state."""
    return next(completion for kind, completion in ENDS.items() if isinstance(state, kind))


def subject_of(operation: Operation) -> Subject:
    """The operation as its state handlers are shown it."""
    arguments: dict[str, Any] = json.loads(operation.arguments)
    return Subject(operation.workflow, operation.id, arguments)


@dataclass(frozen=True, slots=True)
class Announcer:
    """Writes what is to be told of the changes of one transaction; each method says whether there is anything."""

    tx: Connection
    engine: Engine
    now: float

    def ends(self, operation: Operation, ended: Iterable[Ended]) -> bool:
        """What people asked to be told of how these steps ended."""
        is_any = False
        for one in ended:
            if one.ending.state is not StepState.QUEUED and self.engine.policies.of_task(one.step.task).notify:
                old = Pending() if one.ending.state is StepState.TRIGGER_FAILED else Running()
                is_any |= self._step(operation, one.step, old, state_of(one.ending, one.step))
        return is_any

    def start(self, operation: Operation, step: StepTask) -> bool:
        """What people asked to be told of the start of a step."""
        if step.plain or not self.engine.policies.of_task(step.task).notify:
            return False
        return self._step(operation, step, Pending(), starting())

    def _step(self, operation: Operation, step: StepTask, old: State, new: State) -> bool:
        return self.engine.notices.changed(
            self.tx,
            operation,
            step=step.slug,
            change=f"{step.claim}:{new.name}",
            sources=[(f"step:{step.task}", self.engine.policies.of_task(step.task).notify)],
            old=old.name,
            new=new,
            now=self.now,
            task=step.task,
            attempt=step.runs,
        )

    def operation(self, before: Operation, after: Operation) -> bool:
        """What people asked to be told of where an operation stands now."""
        policies = self.engine.policies
        (source, listed), everywhere = policies.notify_of(after), policies.everywhere
        new = operation_state(after) if listed or everywhere else None
        if new is None or before.completion is after.completion:
            return False
        return self.engine.notices.changed(
            self.tx,
            after,
            step="",
            change=f"{before.version + 1}:{new.name}",
            sources=[(source, listed), ("all", everywhere)],
            old=_before(before).name,
            new=new,
            now=self.now,
        )

    def rest(self, before: Operation, after: Operation) -> bool:
        """What people and handlers are to be told of an operation that was paused or cancelled."""
        is_any = self.operation(before, after)
        new = operation_state(after)
        if new is None or not self.engine.policies.asks_handlers(after):
            return is_any
        self.engine.notices.told(
            self.tx,
            after,
            step="",
            change=f"{before.version + 1}:{new.name}",
            source=f"workflow:{after.workflow}",
            old=_before(before).serialize(),
            new=new.serialize(),
            now=self.now,
        )
        return True

    def loss(self, operation: Operation, step: StepTask, why: str, *, is_final: bool) -> bool:
        """What handlers are to be told of a step whose claim was taken away: to run again, or for good."""
        if not self.engine.policies.of_task(step.task).handlers:
            return False
        new = Failed(why) if is_final else Pending(why)
        self.engine.notices.told(
            self.tx,
            operation,
            step=step.slug,
            change=f"{step.claim}:lost",
            source=f"step:{step.task}",
            old=starting().serialize(),
            new=new.serialize(),
            now=self.now,
        )
        return True


def _before(operation: Operation) -> State:
    """The state of an operation before a change: one that is asked to pause or cancel still runs."""
    return operation_state(operation) or Running(RUNNING)
