"""The only clock of the system, so that a test can set it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class FrozenClock:
    """A clock that stays at `seconds` until it is advanced."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __call__(self) -> float:
        """Return its time."""
        return self._seconds

    def advance(self, seconds: float) -> None:
        """Move the clock forward, or backward if `seconds` is negative."""
        self._seconds += seconds


_source: Callable[[], float] = time.time


def now() -> float:
    """Return the current time in seconds since the epoch."""
    return _source()


def monotonic() -> float:
    """Return a monotonic time in seconds, for measuring durations; tests do not set it."""
    return time.monotonic()


@contextmanager
def frozen_at(seconds: float) -> Iterator[FrozenClock]:
    """Make `now` return `seconds` in every thread of this process until the end of the block."""
    global _source
    before, frozen = _source, FrozenClock(seconds)
    _source = frozen
    try:
        yield frozen
    finally:
        _source = before
