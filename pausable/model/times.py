"""Moments, durations, and the timeline of an operation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pausable.errors import MomentMalformed, MomentTooFar
from pausable.model.states import ENDED, Completion

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Maximum seconds ahead for a scheduled moment: ten years.
FARTHEST: Final = 10 * 366 * 86400.0
#: The first and last supported moments in epoch seconds: a day inside the range of `datetime`, so that they exist in
#: every time zone.
_FIRST: Final = datetime(1, 1, 2, tzinfo=UTC).timestamp()
LATEST: Final = datetime(9999, 12, 30, 23, 59, 59, tzinfo=UTC).timestamp()


def bounded(seconds: float) -> float:
    """Return a moment clamped to the supported range; NaN counts as the latest."""
    return max(_FIRST, min(seconds, LATEST)) if seconds == seconds else LATEST  # noqa: PLR0124


def utc(seconds: float) -> datetime:
    """Return a moment, clamped to the supported range, as a datetime in UTC."""
    return datetime.fromtimestamp(bounded(seconds), UTC)


def seconds_of(moment: datetime) -> float:
    """Return a datetime in epoch seconds; one without an offset is in this machine's zone."""
    try:
        return bounded(moment.timestamp())
    except (ValueError, OverflowError, OSError):  # a local time at the edge of the range
        return bounded(moment.replace(tzinfo=UTC).timestamp())


def moment_of(text: str, now: float, *, is_local: bool = False) -> float:
    """Return a written moment in epoch seconds.

    Args:
        text: An ISO 8601 date and time.
        now: The current time, for the limit on how far ahead it may be.
        is_local: Take a time without an offset as this machine's; otherwise it is refused.

    Raises:
        MomentMalformed: It is not an ISO 8601 date and time, or has no offset.
        MomentTooFar: It is more than `FARTHEST` ahead.
    """
    try:
        read = datetime.fromisoformat(text)
        moment = read.astimezone() if is_local and read.tzinfo is None else read
        seconds = moment.timestamp()
    except (ValueError, OverflowError, OSError):
        raise MomentMalformed from None
    if moment.tzinfo is None:
        raise MomentMalformed
    if seconds - now > FARTHEST:
        raise MomentTooFar
    return seconds


def spoken(seconds: float) -> str:
    """Return a duration in its two largest units; a negative one counts as zero."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def in_utc(seconds: float) -> str:
    """Return a moment in epoch seconds as readable text."""
    return f"{utc(seconds):%Y-%m-%d %H:%M:%S} UTC"


#: Fraction of the width for one rest, and the maximum for all of them.
_REST: Final = 0.03
_RESTS: Final = 0.3
#: Seconds without a running step after which an operation counts as waiting for a worker or a retry.
_STANDSTILL: Final = 2.0
#: Number of steps needed for an estimate, however short they were.
_ENOUGH: Final = 20
#: States in which nothing of an operation runs.
_AT_REST: Final = frozenset({*ENDED, Completion.PAUSED, Completion.SCHEDULED})


@dataclass(frozen=True, slots=True)
class Stretch:
    """A period in epoch seconds in which an operation rested; the last may have no end."""

    begin: float
    end: float | None


def stretches(moves: Iterable[tuple[float, str]]) -> list[Stretch]:
    """Return the rests between the moves (moment, new state) of an operation."""
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
    """Return the estimated seconds for the remaining steps; None if there is not enough data.

    Args:
        spans: Begin and end of each of the latest steps, or the current time for a running one; in seconds.
        done: How many steps these amount to; a running one counts with its progress.
        rest: The number of remaining steps.
    """
    seconds = covered(spans)
    is_enough = (seconds > 1 or done >= _ENOUGH) and done > 0.01 * min(rest, 100)
    return seconds * rest / done if is_enough else None


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Return the seconds in which steps ran, including short waits between them."""
    total, until = 0.0, None
    for begin, end in sorted(spans):
        if until is None or begin - until > _STANDSTILL:
            total, until = total + end - begin, end
        else:
            total, until = total + max(0.0, end - until), max(until, end)
    return total


class Axis:
    """Maps moments between `begin` and `end` to 0 to 1, with rests shortened."""

    def __init__(self, begin: float, end: float, rests: Sequence[Stretch]) -> None:
        self._begin, self._end = begin, max(end, begin + 0.001)
        cut = [(max(begin, rest.begin), min(self._end, rest.end or self._end)) for rest in rests]
        self.rests = [(start, stop) for start, stop in cut if start < stop]
        wide = min(_REST, _RESTS / len(self.rests)) if self.rests else 0.0
        working = self._end - begin - sum(stop - start for start, stop in self.rests)
        self._wide = wide if working > 0 else 1 / max(1, len(self.rests))
        self._scale = (1 - wide * len(self.rests)) / working if working > 0 else 0.0

    def place(self, at: float) -> float:
        """Return the position of this moment."""
        at = min(max(at, self._begin), self._end)
        rested = [(start, stop) for start, stop in self.rests if start < at]
        within = sum((min(at, stop) - start) / (stop - start) * self._wide for start, stop in rested)
        working = at - self._begin - sum(min(at, stop) - start for start, stop in rested)
        return min(1.0, within + working * self._scale)
