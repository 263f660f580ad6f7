"""The states of operations and steps, the table of legal moves between them, and the objects that handlers get."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from pausable.errors import StateMalformed


class Completion(StrEnum):
    """Where an operation stands; the exact texts of the column `operations.completion`."""

    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN PROGRESS"
    REQUESTING_PAUSE = "REQUESTING PAUSE"
    PAUSED = "PAUSED"
    REQUESTING_CANCEL = "REQUESTING CANCEL"
    CANCELLED = "CANCELLED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class StepState(StrEnum):
    """Where a step stands; the exact texts of the column `steps.state`."""

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


#: An operation that stands here has ended; only a retry of one that failed moves it again.
ENDED: Final = frozenset({Completion.COMPLETED, Completion.FAILED, Completion.CANCELLED})
#: A worker may claim a step of an operation that stands here.
CLAIMABLE: Final = frozenset({Completion.SCHEDULED, Completion.IN_PROGRESS})
#: `drain` ends these as soon as nothing of the operation runs.
REQUESTING: Final = frozenset({Completion.REQUESTING_PAUSE, Completion.REQUESTING_CANCEL})

#: A step that stands here has ended; only a retry of its operation moves it again.
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
#: What waits for such a step may go on, unless it says otherwise.
GOOD: Final = frozenset({StepState.SUCCESS, StepState.CACHED})
#: A step that stands here has ended well: it counts as done, and keeps no cursor.
DONE: Final = GOOD | {StepState.SKIPPED}
#: A step that ended so keeps those from running that want all before them to be successful.
BAD: Final = frozenset({StepState.FAILED, StepState.TRIGGER_FAILED, StepState.CANCELLED})
#: A step that stands here has not ended and is in nobody's hands.
IDLE: Final = frozenset({StepState.PENDING, StepState.QUEUED, StepState.RETRYING, StepState.PAUSED})


class State:
    """Where a step or an operation stands, with what is known of it; `result` is any value that JSON holds."""

    def __init__(self, message: str | None = None, result: Any = None) -> None:
        self.message = message
        self.result = result

    @property
    def name(self) -> str:
        """The word for it, as in the column `steps.state`."""
        return type(self).__name__

    def is_pending(self) -> bool:
        """Whether it has yet to run, for whatever it waits."""
        return isinstance(self, Pending)

    def is_scheduled(self) -> bool:
        """Whether it waits for a time or a person."""
        return isinstance(self, Scheduled)

    def is_retrying(self) -> bool:
        """Whether it waits to be run again after a failure."""
        return isinstance(self, Retrying)

    def is_paused(self) -> bool:
        """Whether it is held until somebody resumes it."""
        return isinstance(self, Paused)

    def is_running(self) -> bool:
        """Whether it runs."""
        return isinstance(self, Running)

    def is_finished(self) -> bool:
        """Whether it has ended, however it did."""
        return isinstance(self, _Finished)

    def is_successful(self) -> bool:
        """Whether it has ended well: also when it was cached or skipped."""
        return isinstance(self, Success)

    def is_cached(self) -> bool:
        """Whether its result was there already."""
        return isinstance(self, Cached)

    def is_skipped(self) -> bool:
        """Whether it ended well without having been run to its end."""
        return isinstance(self, Skipped)

    def is_failed(self) -> bool:
        """Whether it has failed, or could not run since others had."""
        return isinstance(self, Failed)

    def is_cancelled(self) -> bool:
        """Whether it ended because somebody wanted no more of it."""
        return isinstance(self, Cancelled)

    def serialize(self) -> dict[str, Any]:
        """The state as JSON holds it: `type`, `message`, `result`, and what its kind has beside them."""
        return {"type": self.name, "message": self.message, "result": self.result}

    @staticmethod
    def deserialize(facts: Mapping[str, Any]) -> State:
        """The state that `serialize` wrote. Raises StateMalformed, also for anything that comes from elsewhere."""
        return _deserialized(facts)

    def __repr__(self) -> str:
        return f'{self.name}("{self.message}")' if self.message else f"{self.name}()"

    def says_the_same(self, other: State) -> bool:
        """Return whether both would be written down alike, the message included."""
        return self.serialize() == other.serialize()

    def __eq__(self, other: object) -> bool:
        # As in Prefect 1: the kind and what it carries count, the message does not.
        return type(self) is type(other) and vars(self) | {"message": None} == vars(other) | {"message": None}

    def __hash__(self) -> int:
        return id(self)  # as in Prefect 1: the result may be any value, so only the same object is the same key


class Pending(State):
    """It waits for others, or for a worker."""


class Scheduled(Pending):
    """It waits for a time, or for anything that is not another step; a time without a zone is taken for UTC."""

    def __init__(self, message: str | None = None, result: Any = None, start_time: datetime | None = None) -> None:
        super().__init__(message, result)
        if start_time is not None and not isinstance(start_time, datetime):
            raise TypeError(f"start_time is {start_time!r:.80}: give a datetime")
        self.start_time = start_time.replace(tzinfo=start_time.tzinfo or UTC) if start_time else None

    def serialize(self) -> dict[str, Any]:
        """As of any state, and `start_time` in ISO 8601."""
        return {**super().serialize(), "start_time": self.start_time and self.start_time.isoformat()}


class Retrying(Scheduled):
    """It failed, or asked for it, and is run again at `start_time`; `run_count` is how often it has run."""

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
        """As of any scheduled state, and `run_count`."""
        return {**super().serialize(), "run_count": self.run_count}


class Paused(Scheduled):
    """It is held until its operation is resumed: by a person, or at `start_time` by the service."""


class Running(State):
    """Its code runs."""


class _Finished(State):
    """It has ended."""


class Success(_Finished):
    """It has ended well."""


class Cached(Success):
    """Its result was there already."""


class Skipped(Success):
    """It was not needed."""


class Failed(_Finished):
    """It has ended badly."""


class TriggerFailed(Failed):
    """It was not run, because of how the steps upstream of it ended."""


class Cancelled(_Finished):
    """It was not wanted any more."""


class Attributes(dict[str, Any]):
    """Values by name, to be had as attributes too: what a signal carries."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


#: Every kind of state by its name.
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
    """The tables as the page `docs/states.md`."""
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
