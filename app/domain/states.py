"""Where an operation and a step may stand, and the state objects that code is told of, and may answer with.

The names and the predicates of the objects are those of Prefect 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from app.errors import StateMalformed


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
