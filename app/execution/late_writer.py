"""The timer of a worker process: writes a batch that has waited for 5 ms while the next step still runs."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Final

from app import clock

if TYPE_CHECKING:
    from app.execution.batch import Batch

#: Seconds that an ending may wait to be written.
LATEST: Final = 0.005
#: Seconds between two looks while batches come and go; a wake-up by a slice would cost that slice more than a look.
_LOOK: Final = 0.0025
#: Looks without a batch after which the thread sleeps until it is woken.
_PATIENCE: Final = 200

_log = logging.getLogger(__name__)


class LateWriter:
    """One thread for each process, however many slices run there; while it is awake, arming it wakes nobody."""

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._due: dict[Batch, float] = {}
        self._is_asleep = False
        self._pid = 0

    def arm(self, batch: Batch) -> None:
        """Write this batch in 5 ms, unless it is disarmed before; arming it again changes nothing."""
        if batch in self._due:
            return
        with self._wake:
            if self._pid != os.getpid():
                self._start()
            elif self._is_asleep:
                self._wake.notify()
            self._due[batch] = clock.monotonic() + LATEST

    def disarm(self, batch: Batch) -> None:
        """Forget the batch: it has been written."""
        if batch in self._due:
            with self._wake:
                self._due.pop(batch, None)

    def _start(self) -> None:
        self._pid = os.getpid()
        self._due.clear()  # a process that forked this one writes its own
        threading.Thread(target=self._run, name="late-writer", daemon=True).start()

    def _run(self) -> None:
        while True:
            batch = self._next()
            try:
                if batch.write_late():
                    self.arm(batch)
            except Exception:  # the slice writes it itself when its step ends, and meets the fault there
                _log.exception("a batch could not be written early")

    def _next(self) -> Batch:
        looks = 0
        with self._wake:
            while True:
                batch = min(self._due, key=self._due.__getitem__, default=None)
                remaining = self._due[batch] - clock.monotonic() if batch else _LOOK
                if batch is not None and remaining <= 0:
                    del self._due[batch]
                    return batch
                looks = 0 if batch else looks + 1
                self._sleep(min(_LOOK, remaining) if looks < _PATIENCE else None)

    def _sleep(self, seconds: float | None) -> None:
        self._is_asleep = seconds is None
        self._wake.wait(seconds)
        self._is_asleep = False
