"""A time line of what ran: an operation's stretches of work and of rest, and where each step lies among them.

Rest is drawn short, however long it was: else one night of pause would leave nothing to be seen of the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from app.domain.states import ENDED, Completion

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: The part of the width that one rest takes, and all of them together at the most.
_REST: Final = 0.03
_RESTS: Final = 0.3
#: Seconds without a running step from which on an operation stands still: it waits for a worker, or for a retry.
_STANDSTILL: Final = 2.0
#: So many steps tell how long others take, however short they were.
_ENOUGH: Final = 20
#: Nothing of an operation runs while it stands here.
_AT_REST: Final = frozenset({*ENDED, Completion.PAUSED, Completion.SCHEDULED})


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time, in seconds since the epoch, in which an operation was at rest; the last may have no end."""

    begin: float
    end: float | None


def stretches(moves: Iterable[tuple[float, str]]) -> list[Stretch]:
    """The rests between the moves of an operation, each a moment and where it came to stand; not the one before all."""
    found: list[Stretch] = []
    since: float | None = None
    has_run = False
    for at, new in moves:
        if new not in _AT_REST:
            if since is not None and has_run:
                found.append(Stretch(since, at))
            since, has_run = None, True
        elif since is None:
            since = at
    return [*found, Stretch(since, None)] if since is not None and has_run else found


def left(spans: Iterable[tuple[float, float]], done: float, rest: float) -> float | None:
    """Return the seconds that the rest takes if steps go on as the latest have; None while that tells nothing.

    Args:
        spans: When each of the latest steps began and ended, or the present moment for one that runs; in seconds.
        done: How many steps these came to, each that runs by the part that it has done.
        rest: How many steps are left.
    """
    seconds = covered(spans)
    is_enough = (seconds > 1 or done >= _ENOUGH) and done > 0.01 * min(rest, 100)
    return seconds * rest / done if is_enough else None


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Return the seconds in which steps ran, the short waits between them included, but no standstill."""
    total, until = 0.0, None
    for begin, end in sorted(spans):
        if until is None or begin - until > _STANDSTILL:
            total, until = total + end - begin, end
        else:
            total, until = total + max(0.0, end - until), max(until, end)
    return total


class Axis:
    """Where moments lie between 0 and 1 on a line from `begin` to `end` on which rests are short."""

    def __init__(self, begin: float, end: float, rests: Sequence[Stretch]) -> None:
        self._begin, self._end = begin, max(end, begin + 0.001)
        cut = [(max(begin, rest.begin), min(self._end, rest.end or self._end)) for rest in rests]
        self.rests = [(start, stop) for start, stop in cut if start < stop]
        wide = min(_REST, _RESTS / len(self.rests)) if self.rests else 0.0
        working = self._end - begin - sum(stop - start for start, stop in self.rests)
        self._wide = wide if working > 0 else 1 / max(1, len(self.rests))
        self._scale = (1 - wide * len(self.rests)) / working if working > 0 else 0.0

    def place(self, at: float) -> float:
        """Where this moment lies."""
        at = min(max(at, self._begin), self._end)
        rested = [(start, stop) for start, stop in self.rests if start < at]
        within = sum((min(at, stop) - start) / (stop - start) * self._wide for start, stop in rested)
        working = at - self._begin - sum(min(at, stop) - start for start, stop in rested)
        return min(1.0, within + working * self._scale)
