"""The facts of how an operation stands, by which `app.domain.explaining` tells why it does not move."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.domain.states import Completion, StepState

#: What stands in the reason of an operation that cannot pause yet, before why.
NOT_YET: Final = "it cannot pause yet: "


@dataclass(frozen=True, slots=True)
class Asked:
    """Who brought an operation to where it stands, when, and why; times are seconds since the epoch."""

    who: str
    at: float
    why: str | None


@dataclass(frozen=True, slots=True)
class Listening:
    """A worker, or what is left of one; `queues` is None where it never told, `is_gone` where its process was seen so.

    `heard` tells whether it has neither ended nor been found lost.
    """

    id: int
    host: str
    boot_id: str
    pid: int
    start_time: int
    seen_at: float
    stopped_at: float | None
    lost_at: float | None
    queues: tuple[str, ...] | None
    running: int
    is_gone: bool = False

    @property
    def heard(self) -> bool:
        """Whether nobody knows that it has ended."""
        return self.stopped_at is None and self.lost_at is None and not self.is_gone

    def lives(self, now: float, lease: float) -> bool:
        """Whether it was heard of within the lease, in seconds, and nobody knows that it has ended."""
        return self.heard and now - self.seen_at <= lease

    def takes(self, queue: str | None) -> bool:
        """Whether it takes messages from that queue, as far as that is known."""
        return queue is None or self.queues is None or queue in self.queues


@dataclass(frozen=True, slots=True)
class Held:
    """A step in somebody's hands since a moment; one that is not confirmed was taken from them then.

    `worker_id` is None in rows of earlier versions that were taken from a program which was no worker; `is_gone` tells
    that its process was looked at, and runs no more.
    """

    step: str
    since: float
    is_confirmed: bool
    worker_id: int | None
    host: str | None
    boot_id: str | None
    process: int | None
    process_start: int | None
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """Steps that wait for a worker in one queue: the first of them, how many, and when the earliest may start.

    `queue` is None where they are routed past names; `starts_at` where they may start now.
    """

    step: str
    steps: int
    queue: str | None
    starts_at: float | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """A step that runs again at `due_at`, and what it said of why."""

    step: str
    due_at: float
    why: str | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A step that waits for others: how many have not ended, and those of them that are under way."""

    step: str
    waits: int
    ahead: tuple[tuple[str, StepState], ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """All that is told of one operation at one moment; `lease` and `period`, between two beats, are in seconds."""

    completion: Completion
    asked: Asked | None = None
    reason: str | None = None
    failed_step: str | None = None
    fault: str | None = None
    finished_at: float | None = None
    #: When the service itself starts or resumes it.
    due_at: float | None = None
    #: Since when it may go on elsewhere alone, and where, in the words of who moved it.
    moved_at: float | None = None
    moved_to: str | None = None
    counts: Mapping[StepState, int] = field(default_factory=dict)
    held: tuple[Held, ...] = ()
    ready: tuple[Ready, ...] = ()
    retries: tuple[Retry, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    workers: tuple[Listening, ...] = ()
    lease: float = 0.0
    period: float = 0.0
    broker_answers: bool = True
