"""The states that people's code is told of an operation, in the words of Prefect 1, and where it stands then."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from app.domain.states import (
    Attributes,
    Cancelled,
    Completion,
    Failed,
    Paused,
    Running,
    Scheduled,
    State,
    Success,
)
from app.execution.endings import words_of_facts
from app.handlers.base import Subject
from app.results.references import unescaped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.store.operations import Operation

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
