"""What every part of the engine shares: the database, the publisher, the limits of a slice, and the worker."""

from __future__ import annotations

import mmap
import os
import select
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol

from pausable import clock
from pausable.db.transitions import Holder
from pausable.db.workers import register_worker
from pausable.documents.signing import Keys
from pausable.processes import start_of, this_process
from pausable.results.references import LARGE

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from celery import Celery

    from pausable.db.database import Database
    from pausable.engine.errands import Errands
    from pausable.engine.metrics import Metrics
    from pausable.engine.notices import Notices
    from pausable.engine.policies import Policies
    from pausable.engine.publish import Publisher
    from pausable.results.base import Result


class WakeUp:
    """A pipe that a worker's processes inherit: whoever writes to it wakes who waits at its other end."""

    def __init__(self) -> None:
        self._listening, self._ringing = os.pipe()
        os.set_blocking(self._listening, False)
        os.set_blocking(self._ringing, False)

    def ring(self) -> None:
        """Wake the one who waits, or who waits next; one more on a bell that rings already changes nothing."""
        with suppress(BlockingIOError):
            os.write(self._ringing, b"!")

    def wait(self, seconds: float) -> None:
        """Wait until it rings, but not for longer."""
        select.select([self._listening], [], [], seconds)
        with suppress(BlockingIOError):
            os.read(self._listening, 65536)


class ShutdownFlag:
    """Whether this worker is leaving: one byte that all processes of its pool share, because it is older than they."""

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)
        #: The deliveries that the worker's consumer was about to forget; they are its main process's alone.
        self.dropped_deliveries: set[Any] = set()
        #: Set once that consumer takes no more.
        self.has_stopped = threading.Event()

    @property
    def is_set(self) -> bool:
        """Whether nothing more is to be started."""
        return self._byte[0] != 0

    def set(self) -> None:
        """Start nothing more, in any process of this worker."""
        self._byte[0] = 1


_ID_BYTES: Final = 8


class Wakes(Protocol):
    """A thread of a worker that can be woken."""

    def wake(self) -> None:
        """Look at once for something to do."""


class Recovers(Protocol):
    """The thread of a worker that recovers what is lost."""

    @property
    def recovery(self) -> NotesLimits:
        """What it recovers by."""

    def call(self) -> None:
        """Look at once."""


class NotesLimits(Protocol):
    """What ends a step whose process is killed for its time limit."""

    def note_time_limit(self, operation_id: int, number: int, pid: int, seconds: float) -> None:
        """Note which step is about to be killed."""


class Incarnation:
    """One run of a worker, or of another program that runs steps.

    The id of its row lies in memory that the processes of the pool share, so that a row made after they were forked
    counts for them too. `recoverer`, `errands`, `notifier` and `beat_at` are those of the main process.
    """

    def __init__(self, worker_id: int | None = None) -> None:
        self._shared = mmap.mmap(-1, _ID_BYTES)
        self._own: tuple[int, int] | None = None
        self.worker_id = worker_id
        #: The worker's main process; None in a program that is no worker.
        self.pid: int | None = None
        self.wake_up: WakeUp | None = None
        self.recoverer: Recovers | None = None
        self.errands: Errands | None = None
        self.notifier: Wakes | None = None
        #: When its heart beat last, on this process's monotonic clock.
        self.beat_at: float | None = None
        self._may_enter = threading.Lock()

    @property
    def is_worker(self) -> bool:
        """Whether this process belongs to a worker: its main process alone enters the table then."""
        return self.pid is not None

    @property
    def worker_id(self) -> int | None:
        """The id of its row; None while it has none."""
        if self._own is not None and self._own[0] == os.getpid():
            return self._own[1]
        return int.from_bytes(self._shared[:_ID_BYTES], "little") or None

    @worker_id.setter
    def worker_id(self, worker_id: int | None) -> None:
        self._shared[:_ID_BYTES] = (worker_id or 0).to_bytes(_ID_BYTES, "little")

    def own(self, worker_id: int) -> None:
        """Take a row for this very process, which is no worker: a process that it forks takes another."""
        self._own = (os.getpid(), worker_id)

    def forget(self) -> None:
        """Have no row any more."""
        self._own = None
        self.worker_id = None

    def ring(self) -> None:
        """Wake the sweeper of this worker, if it is one."""
        if self.wake_up:
            with suppress(OSError):
                self.wake_up.ring()


#: Beats of the heart, and looks at the hearts of others, in one lease; and the seconds between two at the most.
_IN_A_LEASE: Final = 5
_LONGEST: Final = 2.0
#: Seconds between two looks whether the worker has been registered.
_A_LOOK: Final = 0.05


#: A task is not judged before it has run this often here.
_ENOUGH: Final = 2
#: What one run weighs against all before it: a slow run is forgotten slowly, and makes the task long at once.
_FADING: Final = 0.8


@dataclass(slots=True)
class Pace:
    """The slowest recent run of each task in this process, faded by the faster runs since; in seconds."""

    #: Up to which a task counts as short.
    short: float = 0.005
    #: How long an ending may wait to be written.
    latest: float = 0.005
    _slowest: dict[str, float] = field(default_factory=dict)
    _runs: dict[str, int] = field(default_factory=dict)

    def measure(self, task: str, seconds: float) -> None:
        """Take one run of a task into account."""
        self._slowest[task] = max(seconds, self._slowest.get(task, 0.0) * _FADING)
        self._runs[task] = self._runs.get(task, 0) + 1

    def is_short(self, task: str, times: int = 1) -> bool:
        """Return whether the task has run here often enough, and briefly enough to be run so often in turn."""
        return self._runs.get(task, 0) >= _ENOUGH and self._slowest[task] * times <= self.short


@dataclass(frozen=True, slots=True)
class Engine:
    """Handed to every function of this package that touches the database or the broker; all times are in seconds.

    `lease` is how long a worker may be silent before its claims are taken away, `max_losses` how often that may happen
    to one step, `republish_after` when a queued step is first published again, `grace` what a leaving worker has.
    """

    app: Celery
    database: Database
    publisher: Publisher
    workflow_store: Path
    slice_seconds: float
    slice_steps: int
    lease: float
    max_losses: int
    republish_after: float
    grace: float
    metrics: Metrics
    policies: Policies
    notices: Notices
    #: Where results are kept that are not in the table, unless a step or workflow says otherwise.
    results: Result
    #: Whether targets are read and written.
    checkpointing: bool = True
    #: Characters of a result in the table at the most.
    large: int = LARGE
    #: What documents are signed with.
    keys: Keys = field(default_factory=Keys)
    incarnation: Incarnation = field(default_factory=Incarnation)
    shutdown: ShutdownFlag = field(default_factory=ShutdownFlag)
    #: Which tasks run so briefly here that their steps are written together.
    pace: Pace = field(default_factory=Pace)

    def holder(self) -> Holder:
        """Who holds the claims that this process makes; `enter` goes before."""
        pid = os.getpid()
        return Holder(self.incarnation.worker_id, pid, _own_start(pid))

    def become_worker(self, wake_up: WakeUp) -> None:
        """Make this process the main one of a worker: what it forks belongs to it, and wakes it by the bell.

        It is not in the table yet: `register` enters it, as often as that takes.
        """
        self.incarnation.wake_up, self.incarnation.pid = wake_up, os.getpid()

    def register(self, queues: Collection[str] | None = None) -> None:
        """Enter the worker in the table, as one that takes messages from these queues."""
        with self.database.write() as tx:
            worker_id = register_worker(tx, this_process(), clock.now(), queues)
        self.incarnation.worker_id = worker_id

    def enter(self) -> bool:
        """Be in the table, as every holder of a claim is; False where that cannot be, since the worker is leaving.

        A process of a worker waits until the main process has registered. Another program enters itself: it is noted
        as one that takes no messages.
        """
        while self.incarnation.worker_id is None:
            if not self.incarnation.is_worker:
                with self.database.write() as tx:
                    worker_id = register_worker(tx, this_process(), clock.now(), is_worker=False)
                self.incarnation.own(worker_id)
            elif self.shutdown.is_set:
                return False
            else:
                time.sleep(_A_LOOK)
        return True

    def wake_sweeper(self) -> None:
        """Tell the sweeper of this worker that something is due; outside a worker there is none."""
        self.incarnation.ring()

    def expect(self, due: float | None) -> None:
        """Have a worker look when something is due, where its next look would come later; call it after the commit.

        Args:
            due: When that is, in seconds since the epoch; None for nothing.
        """
        if due is None or due - clock.now() > 2 * self.period():
            return
        if self.incarnation.is_worker:
            self.incarnation.ring()
        else:
            self.publisher.wake()

    def period(self) -> float:
        """Seconds between two beats, and between two sweeps when nothing is due earlier."""
        return min(_LONGEST, self.lease / _IN_A_LEASE)


@lru_cache(maxsize=1)
def _own_start(pid: int) -> int:
    return start_of(pid) or 0
