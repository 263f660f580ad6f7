"""Counting what happens: in the memory of each process, added to the table at most every few seconds.

What a process counted in its last seconds is lost with it when it is killed; nothing depends on it.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from pausable import clock
from pausable.db.stats import OPERATIONS_A_MINUTE, STEPS_A_MINUTE, Tally, add_metrics, forget_minutes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pausable.db.database import Database
    from pausable.db.operations import Operation

#: Seconds up to which a bucket of a histogram counts; what takes longer goes into one more.
BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
#: What is counted.
STEP_SECONDS: Final = "step_seconds"
PAUSE_SECONDS: Final = "pause_seconds"
FINISHED: Final = "finished"
LOSSES: Final = "losses"
REPUBLISHED: Final = "republished"
#: Minutes that what is counted by the minute is kept for.
KEPT: Final = 120
#: Seconds between the first thing that is counted and the write that takes it along.
_PERIOD: Final = 5.0

_log = logging.getLogger(__name__)

_Key = tuple[str, str, int]


class Metrics:
    """What one process has counted and not written yet; safe for threads, empty in a child after a fork."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._begin()
        ended = weakref.WeakMethod(self.flush)
        atexit.register(lambda: (flush := ended()) and flush())

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._changing = threading.Lock()
        self._counted: dict[_Key, tuple[int, float]] = {}
        self._forgot = 0

    def count(self, name: str, label: str = "", times: int = 1) -> None:
        """Count something that happened."""
        self._add((name, label, 0), times, 0.0)

    def observe(self, name: str, seconds: float, label: str = "") -> None:
        """Count how long something took into the histogram of that name."""
        self._add((name, label, bisect_left(BUCKETS, seconds)), 1, seconds)

    def count_finished(self, operation: Operation) -> None:
        """Count an operation that has just ended, by how and of which workflow."""
        self.count(FINISHED, f"{operation.completion} {operation.workflow}")

    def flush(self) -> None:
        """Add what was counted to the table; where that fails, it is kept for the next time."""
        if self._pid != os.getpid():
            return
        with self._changing:
            counted, self._counted = self._counted, {}
        if not counted:
            return
        try:
            with self._database.write(survives_power_cut=False) as tx:
                minute = int(clock.now() // 60)
                add_metrics(tx, (*(Tally(*key, *value) for key, value in counted.items()), *_in(minute, counted)))
                if minute != self._forgot:
                    forget_minutes(tx, minute - KEPT)
                    self._forgot = minute
        except Exception as why:  # the database is locked or gone: counting must fail nothing else
            _log.warning("what was counted could not be written (%s)", type(why).__name__)
            for key, value in counted.items():
                self._add(key, *value)

    def forget(self) -> None:
        """Drop what was counted: its table is about to go."""
        with self._changing:
            self._counted = {}

    def _add(self, key: _Key, times: int, seconds: float) -> None:
        if self._pid != os.getpid():
            self._begin()  # what was inherited is the parent's to write
        with self._changing:
            is_first = not self._counted
            count, total = self._counted.get(key, (0, 0.0))
            self._counted[key] = (count + times, total + seconds)
        if is_first:
            self._write_later()

    def _write_later(self) -> None:
        timer = threading.Timer(_PERIOD, self._flush_apart)
        timer.daemon = True
        timer.start()

    def _flush_apart(self) -> None:
        self.flush()
        self._database.close()  # the connection of this thread, which ends here


def _in(minute: int, counted: Mapping[_Key, tuple[int, float]]) -> Iterator[Tally]:
    """What ended since the last write, as of this minute: some seconds off at the most, and no step pays for it."""
    for name, of in ((STEPS_A_MINUTE, STEP_SECONDS), (OPERATIONS_A_MINUTE, FINISHED)):
        ended = sum(times for (what, _, _), (times, _) in counted.items() if what == of)
        if ended:
            yield Tally(name, "", minute, ended, 0.0)
