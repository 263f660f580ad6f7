"""The one clock of the system: everything that asks for the time asks here, so that a test can set it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class FrozenClock:
    """A clock that stands still at `seconds` until it is told to move."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __call__(self) -> float:
        """The moment it stands at."""
        return self._seconds

    def advance(self, seconds: float) -> None:
        """Move the clock on by `seconds`, or back where they are negative."""
        self._seconds += seconds


_source: Callable[[], float] = time.time


def now() -> float:
    """The present moment in UTC, as seconds since the epoch."""
    return _source()


def monotonic() -> float:
    """Seconds of a clock that never jumps, for measuring how long something takes; no test sets it."""
    return time.monotonic()


@contextmanager
def frozen_at(seconds: float) -> Iterator[FrozenClock]:
    """Make `now` answer `seconds`, in every thread of this process, until the block is left."""
    global _source
    before, frozen = _source, FrozenClock(seconds)
    _source = frozen
    try:
        yield frozen
    finally:
        _source = before
