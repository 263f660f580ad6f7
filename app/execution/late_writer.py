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
    """One thread for each process; while it is awake, arming it wakes nobody."""

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._batch: Batch | None = None
        self._at = 0.0
        self._is_asleep = False
        self._pid = 0

    def arm(self, batch: Batch) -> None:
        """Write this batch in 5 ms, unless it is disarmed before; arming it again changes nothing."""
        if self._batch is batch:
            return
        with self._wake:
            self._batch, self._at = batch, clock.monotonic() + LATEST
            if self._pid != os.getpid():
                self._start()
            elif self._is_asleep:
                self._wake.notify()

    def disarm(self) -> None:
        """Forget the batch: it has been written."""
        self._batch = None

    def _start(self) -> None:
        self._pid = os.getpid()
        threading.Thread(target=self._run, name="late-writer", daemon=True).start()

    def _run(self) -> None:
        while True:
            batch = self._next()
            try:
                if batch.write_late():
                    self._look_again(batch)
            except Exception:  # the slice writes it itself when its step ends, and meets the fault there
                _log.exception("a batch could not be written early")

    def _look_again(self, batch: Batch) -> None:
        with self._wake:
            if self._batch is None:
                self._batch, self._at = batch, clock.monotonic() + LATEST

    def _next(self) -> Batch:
        looks = 0
        with self._wake:
            while True:
                batch, remaining = self._batch, self._at - clock.monotonic()
                if batch is not None and remaining <= 0:
                    self._batch = None
                    return batch
                looks = 0 if batch else looks + 1
                self._sleep(min(_LOOK, remaining) if batch else _LOOK if looks < _PATIENCE else None)

    def _sleep(self, seconds: float | None) -> None:
        self._is_asleep = seconds is None
        self._wake.wait(seconds)
        self._is_asleep = False
