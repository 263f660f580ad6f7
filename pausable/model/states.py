"""The states of operations and steps, the table of legal moves, and the state objects given to handlers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from pausable.errors import StateMalformed


class Completion(StrEnum):
    """The states of operations; the texts of the column `operations.completion`."""

    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN PROGRESS"
    REQUESTING_PAUSE = "REQUESTING PAUSE"
    PAUSED = "PAUSED"
    REQUESTING_CANCEL = "REQUESTING CANCEL"
    CANCELLED = "CANCELLED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class StepState(StrEnum):
    """The states of steps; the texts of the column `steps.state`."""

    PENDING = "Pending"
    QUEUED = "Queued"
    RUNNING = "Running"
    RETRYING = "Retrying"
    PAUSED = "Paused"
    SUCCESS = "Success"
    CACHED = "Cached"
    SKIPPED = "Skipped"
    FAILED = "Failed"
    TRIGGER_FAILED = "TriggerFailed"
    CANCELLED = "Cancelled"


#: Final states of an operation; only a retry of a failed one leaves them.
ENDED: Final = frozenset({Completion.COMPLETED, Completion.FAILED, Completion.CANCELLED})
#: States in which a worker may claim steps of an operation.
CLAIMABLE: Final = frozenset({Completion.SCHEDULED, Completion.IN_PROGRESS})
#: States that `drain` ends as soon as nothing of the operation runs.
REQUESTING: Final = frozenset({Completion.REQUESTING_PAUSE, Completion.REQUESTING_CANCEL})

#: Final states of a step; only a retry of its operation leaves them.
FINAL: Final = frozenset(
    {
        StepState.SUCCESS,
        StepState.CACHED,
        StepState.SKIPPED,
        StepState.FAILED,
        StepState.TRIGGER_FAILED,
        StepState.CANCELLED,
    }
)
#: States after which downstream steps may run by default.
GOOD: Final = frozenset({StepState.SUCCESS, StepState.CACHED})
#: Successful final states: the step counts as done and keeps no cursor.
DONE: Final = GOOD | {StepState.SKIPPED}
#: States that keep downstream steps with the default trigger from running.
BAD: Final = frozenset({StepState.FAILED, StepState.TRIGGER_FAILED, StepState.CANCELLED})
#: States of a step that has not ended and is not running.
IDLE: Final = frozenset({StepState.PENDING, StepState.QUEUED, StepState.RETRYING, StepState.PAUSED})


class State:
    """The state of a step or an operation, with its message and `result`, any JSON value."""

    def __init__(self, message: str | None = None, result: Any = None) -> None:
        self.message = message
        self.result = result

    @property
    def name(self) -> str:
        """Return its name, as in the column `steps.state`."""
        return type(self).__name__

    def is_pending(self) -> bool:
        """Return whether it has yet to run, whatever it waits for."""
        return isinstance(self, Pending)

    def is_scheduled(self) -> bool:
        """Return whether it waits for a time or a person."""
        return isinstance(self, Scheduled)

    def is_retrying(self) -> bool:
        """Return whether it waits for a retry."""
        return isinstance(self, Retrying)

    def is_paused(self) -> bool:
        """Return whether it is held until somebody resumes it."""
        return isinstance(self, Paused)

    def is_running(self) -> bool:
        """Return whether it is running."""
        return isinstance(self, Running)

    def is_finished(self) -> bool:
        """Return whether it has ended in any way."""
        return isinstance(self, _Finished)

    def is_successful(self) -> bool:
        """Return whether it has ended well, which includes cached and skipped."""
        return isinstance(self, Success)

    def is_cached(self) -> bool:
        """Return whether its result existed already."""
        return isinstance(self, Cached)

    def is_skipped(self) -> bool:
        """Return whether it ended well without running to its end."""
        return isinstance(self, Skipped)

    def is_failed(self) -> bool:
        """Return whether it has failed, or could not run because others had."""
        return isinstance(self, Failed)

    def is_cancelled(self) -> bool:
        """Return whether it was cancelled."""
        return isinstance(self, Cancelled)

    def serialize(self) -> dict[str, Any]:
        """Return the state as JSON values: `type`, `message`, `result`, and fields of its kind."""
        return {"type": self.name, "message": self.message, "result": self.result}

    @staticmethod
    def deserialize(facts: Mapping[str, Any]) -> State:
        """Return the state that `serialize` wrote. Raise StateMalformed for anything else."""
        return _deserialized(facts)

    def __repr__(self) -> str:
        return f'{self.name}("{self.message}")' if self.message else f"{self.name}()"

    def says_the_same(self, other: State) -> bool:
        """Return whether both serialise alike, message included."""
        return self.serialize() == other.serialize()

    def __eq__(self, other: object) -> bool:
        # As in Prefect 1: the kind and what it carries count, the message does not.
        return type(self) is type(other) and vars(self) | {"message": None} == vars(other) | {"message": None}

    def __hash__(self) -> int:
        return id(self)  # as in Prefect 1: results may be unhashable, so keys are compared by identity


class Pending(State):
    """Waiting for other steps or for a worker."""


class Scheduled(Pending):
    """Waiting for a time, or anything but another step; a time without a zone is in UTC."""

    def __init__(self, message: str | None = None, result: Any = None, start_time: datetime | None = None) -> None:
        super().__init__(message, result)
        if start_time is not None and not isinstance(start_time, datetime):
            raise TypeError(f"start_time is {start_time!r:.80}: give a datetime")
        self.start_time = start_time.replace(tzinfo=start_time.tzinfo or UTC) if start_time else None

    def serialize(self) -> dict[str, Any]:
        """Return the JSON values with `start_time` in ISO 8601."""
        return {**super().serialize(), "start_time": self.start_time and self.start_time.isoformat()}


class Retrying(Scheduled):
    """Waiting for a retry at `start_time`; `run_count` is how often it has run."""

    def __init__(
        self,
        message: str | None = None,
        result: Any = None,
        start_time: datetime | None = None,
        run_count: int | None = None,
    ) -> None:
        super().__init__(message, result, start_time)
        self.run_count = run_count

    def serialize(self) -> dict[str, Any]:
        """Return the JSON values with `run_count`."""
        return {**super().serialize(), "run_count": self.run_count}


class Paused(Scheduled):
    """Held until its operation is resumed: by a person, or at `start_time` by the service."""


class Running(State):
    """Running."""


class _Finished(State):
    """Ended."""


class Success(_Finished):
    """Ended well."""


class Cached(Success):
    """Its result existed already."""


class Skipped(Success):
    """Not needed."""


class Failed(_Finished):
    """Ended badly."""


class TriggerFailed(Failed):
    """Not run, because of the states of its upstream steps."""


class Cancelled(_Finished):
    """Cancelled."""


class Attributes(dict[str, Any]):
    """Values by name that are also attributes: the payload of a signal."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


#: Every kind of state by name.
KINDS: Final[Mapping[str, type[State]]] = {
    kind.__name__: kind
    for kind in (
        Pending, Scheduled, Running, Retrying, Paused, Success, Cached, Skipped, Failed, TriggerFailed, Cancelled,
    )
}  # fmt: skip


def _deserialized(facts: Any) -> State:
    if not isinstance(facts, Mapping) or str(facts.get("type")) not in KINDS:
        raise StateMalformed(facts, f"its `type` is none of {', '.join(KINDS)}")
    kind, message = KINDS[str(facts["type"])], facts.get("message")
    if message is not None and not isinstance(message, str):
        raise StateMalformed(facts, "its `message` is no text")
    more: dict[str, Any] = {}
    if issubclass(kind, Scheduled):
        more["start_time"] = _moment(facts)
    if issubclass(kind, Retrying):
        more["run_count"] = _count(facts)
    result = facts.get("result")
    return kind(message, Attributes(result) if type(result) is dict else result, **more)


def _moment(facts: Mapping[str, Any]) -> datetime | None:
    text = facts.get("start_time")
    try:
        return datetime.fromisoformat(text) if text is not None else None
    except (TypeError, ValueError):
        raise StateMalformed(facts, "its `start_time` is no time in ISO 8601") from None


def _count(facts: Mapping[str, Any]) -> int | None:
    count = facts.get("run_count")
    if count is None or (type(count) is int and count >= 0):
        return count
    raise StateMalformed(facts, "its `run_count` is no whole number")


_C = Completion
#: Every legal move of an operation, and when it happens.
OPERATION_MOVES: Final = MappingProxyType(
    {
        (_C.SCHEDULED, _C.IN_PROGRESS): "A worker claims the first step.",
        (_C.SCHEDULED, _C.REQUESTING_PAUSE): "A pause is asked for before any step has started.",
        (_C.SCHEDULED, _C.REQUESTING_CANCEL): "A cancel is asked for before any step has started.",
        (_C.SCHEDULED, _C.COMPLETED): "A state handler ends it as it begins: no step of it runs.",
        (_C.SCHEDULED, _C.FAILED): "A state handler ends it as it begins, or raises: no step of it runs.",
        (_C.SCHEDULED, _C.CANCELLED): "A state handler cancels it as it begins: no step of it runs.",
        (_C.IN_PROGRESS, _C.REQUESTING_PAUSE): "A person, or a pause point's own clause, asks for a pause.",
        (_C.IN_PROGRESS, _C.REQUESTING_CANCEL): "A person asks for a cancel.",
        (_C.IN_PROGRESS, _C.COMPLETED): "The last step ends, and all its reference steps have ended well.",
        (_C.IN_PROGRESS, _C.FAILED): "The last step that could still run ends, and a reference step has failed.",
        (_C.IN_PROGRESS, _C.CANCELLED): "Its last step ends, and code of its author cancelled a reference step, or it.",
        (_C.REQUESTING_PAUSE, _C.PAUSED): "Nothing of the operation runs and workflow.json is written.",
        (_C.REQUESTING_PAUSE, _C.IN_PROGRESS): "The pause is withdrawn before it took effect.",
        (_C.REQUESTING_PAUSE, _C.SCHEDULED): "The pause is withdrawn before the time at which it is to start.",
        (
            _C.REQUESTING_PAUSE,
            _C.REQUESTING_CANCEL,
        ): "A cancel is asked for while the pause waits for the step in hand.",
        (_C.REQUESTING_PAUSE, _C.COMPLETED): "The step in hand was the last one: there is nothing left to pause.",
        (_C.REQUESTING_PAUSE, _C.FAILED): "The step in hand ends, nothing is left to run, and a reference step failed.",
        (_C.REQUESTING_PAUSE, _C.CANCELLED): "The step in hand was the last one, and code of its author cancelled it.",
        (_C.PAUSED, _C.IN_PROGRESS): "A person, or at `resume_at` the service, resumes it; its workflow.json is whole.",
        (_C.PAUSED, _C.SCHEDULED): "It is resumed before the time at which it is to start.",
        (
            _C.PAUSED,
            _C.REQUESTING_CANCEL,
        ): "A person cancels it; nothing runs, so it is CANCELLED in the same transaction.",
        (_C.REQUESTING_CANCEL, _C.CANCELLED): "Nothing of the operation runs any more.",
        (_C.REQUESTING_CANCEL, _C.COMPLETED): "The step in hand was the last one and it succeeded.",
        (
            _C.REQUESTING_CANCEL,
            _C.FAILED,
        ): "The step in hand ends, nothing is left to run, and a reference step failed.",
        (_C.FAILED, _C.IN_PROGRESS): "A person has its failed steps run again.",
    }
)

_S = StepState
#: Every legal move of a step, and when it happens.
STEP_MOVES: Final = MappingProxyType(
    {
        (_S.PENDING, _S.QUEUED): "Its upstreams have ended; it is published, or about to be.",
        (_S.PENDING, _S.RUNNING): "The worker that settled its upstream claims it in the same transaction.",
        (_S.PENDING, _S.PAUSED): "It became ready at a pause point while a pause is requested: it is held.",
        (_S.PENDING, _S.SUCCESS): "It ran and ended within the one transaction that settles its short upstreams too.",
        (_S.PENDING, _S.FAILED): "It ran and failed within the one transaction that settles its short upstreams too.",
        (_S.PENDING, _S.RETRYING): "It asked for a retry within the one transaction that settles its short upstreams.",
        (_S.PENDING, _S.SKIPPED): "A step upstream was skipped, or it asked for that within such a transaction.",
        (_S.PENDING, _S.TRIGGER_FAILED): "A step upstream has failed.",
        (_S.PENDING, _S.CANCELLED): "Its operation is cancelled.",
        (_S.QUEUED, _S.RUNNING): "A worker claims it.",
        (_S.QUEUED, _S.PAUSED): "A pause takes effect before a worker has claimed it, or its own clause asks for one.",
        (_S.QUEUED, _S.CANCELLED): "Its operation is cancelled.",
        (_S.RUNNING, _S.SUCCESS): "Its code returned, or its code or a handler said so.",
        (_S.RUNNING, _S.CACHED): "Its target was there already, or a handler found its result elsewhere.",
        (_S.RUNNING, _S.SKIPPED): "Its code or a handler said so, or a step upstream was skipped.",
        (_S.RUNNING, _S.FAILED): "Its code raised, it outlived its time limit, or its worker was lost too often.",
        (_S.RUNNING, _S.TRIGGER_FAILED): "Its trigger did not let it run.",
        (_S.RUNNING, _S.CANCELLED): "A handler said so, or its operation was ended by one.",
        (_S.RUNNING, _S.RETRYING): "It is to be run again later.",
        (
            _S.RUNNING,
            _S.PAUSED,
        ): "It or a handler asked for a pause, or it stopped at its cursor for one: it is held.",
        (
            _S.RUNNING,
            _S.QUEUED,
        ): "Its worker was lost, or handed it back on leaving, or a pause that is due now stopped it.",
        (_S.RETRYING, _S.QUEUED): "Its waiting time is over.",
        (_S.RETRYING, _S.CANCELLED): "Its operation is cancelled.",
        (_S.PAUSED, _S.QUEUED): "Its operation is resumed, or the pause is withdrawn, or its time to start has come.",
        (_S.PAUSED, _S.CANCELLED): "Its operation is cancelled.",
        (_S.FAILED, _S.PENDING): "Its operation is retried.",
        (_S.TRIGGER_FAILED, _S.PENDING): "Its operation is retried.",
        (_S.CANCELLED, _S.PENDING): "Its operation is retried.",
        (_S.SUCCESS, _S.PENDING): "Its operation is retried, and a failed step before it runs again first.",
        (_S.CACHED, _S.PENDING): "Its operation is retried, and a failed step before it runs again first.",
        (_S.SKIPPED, _S.PENDING): "Its operation is retried, and a failed step before it runs again first.",
    }
)


_PAGE: Final = """\
# States

The tables of `pausable/model/states.py`, which the code obeys: a move that is not here is refused and
changes nothing. (`python -c 'from pausable.model.states import as_page; print(as_page())'` prints it.)

## An operation (`operations.completion`)

{operations}

`COMPLETED`, `FAILED` and `CANCELLED` are ends; a retry alone leads on from `FAILED`. `PAUSED` means
quiescent: nothing of the operation runs.

## A step (`steps.state`)

{steps}

`Success`, `Cached`, `Skipped`, `Failed`, `TriggerFailed` and `Cancelled` are ends; a retry of the operation
alone leads on from them. A step in `Paused` is held: it is ready, and runs on resume, or when the time has come at
which its operation is to start.

## What state objects say of themselves

The objects that state handlers, triggers and notifications are told of (`pausable.model.states`).

{predicates}"""


def as_page() -> str:
    """Return the tables as the page `docs/states.md`."""
    tables = {"operations": _rows(OPERATION_MOVES), "steps": _rows(STEP_MOVES), "predicates": _predicates()}
    return _PAGE.format(**{name: "\n".join(rows) for name, rows in tables.items()})


def _rows(moves: Mapping[Any, str]) -> list[str]:
    rows = [f"| `{source}` | `{target}` | {when} |" for (source, target), when in moves.items()]
    return ["| from | to | when |", "|---|---|---|", *rows]


def _predicates() -> list[str]:
    names = [name for name in vars(State) if name.startswith("is_")]
    head = [f"| | {' | '.join(f'`{name}`' for name in names)} |", "|---" * (len(names) + 1) + "|"]
    marks = (["yes" if getattr(kind(), name)() else "" for name in names] for kind in KINDS.values())
    return head + [f"| `{kind}` | {' | '.join(row)} |" for kind, row in zip(KINDS, marks, strict=True)]
