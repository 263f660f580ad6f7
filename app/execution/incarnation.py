"""The worker that a process belongs to: its row in the table, its main process, and what that process shares."""

from __future__ import annotations

import mmap
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from app.execution.bell import Bell
    from app.execution.courier import Courier
    from app.execution.errands import Errands
    from app.execution.recovering import Recoverer

_ID_BYTES: Final = 8


class Incarnation:
    """One run of a worker, or of another program that runs steps.

    The id of its row lies in memory that the processes of the pool share, so that a row made after they were forked
    counts for them too. `recoverer`, `errands`, `courier` and `beat_at` are those of the main process.
    """

    def __init__(self, worker_id: int | None = None) -> None:
        self._shared = mmap.mmap(-1, _ID_BYTES)
        self._own: tuple[int, int] | None = None
        self.worker_id = worker_id
        #: The worker's main process; None in a program that is no worker.
        self.pid: int | None = None
        self.bell: Bell | None = None
        self.recoverer: Recoverer | None = None
        self.errands: Errands | None = None
        self.courier: Courier | None = None
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
        if self.bell:
            with suppress(OSError):
                self.bell.ring()
