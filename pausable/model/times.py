"""Points in time, durations, and the time line of an operation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pausable.errors import MomentMalformed, MomentTooFar
from pausable.model.states import ENDED, Completion

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Seconds ahead that something may be asked for at the most: ten years.
FARTHEST: Final = 10 * 366 * 86400.0
#: The first and the last moment that are told apart, in seconds since the epoch: a day within what `datetime` holds,
#: so that each of them exists in every time zone.
_FIRST: Final = datetime(1, 1, 2, tzinfo=UTC).timestamp()
LATEST: Final = datetime(9999, 12, 30, 23, 59, 59, tzinfo=UTC).timestamp()


def bounded(seconds: float) -> float:
    """Return a moment, or the nearest one that every calendar has; one that is no number counts as the latest."""
    return max(_FIRST, min(seconds, LATEST)) if seconds == seconds else LATEST  # noqa: PLR0124


def utc(seconds: float) -> datetime:
    """Return a moment as a datetime in UTC; one that no calendar has, as the nearest that it has."""
    return datetime.fromtimestamp(bounded(seconds), UTC)


def seconds_of(moment: datetime) -> float:
    """Return a datetime as seconds since the epoch; one without an offset is in this machine's time."""
    try:
        return bounded(moment.timestamp())
    except (ValueError, OverflowError, OSError):  # local time, at the very edge of the calendar
        return bounded(moment.replace(tzinfo=UTC).timestamp())


def moment_of(text: str, now: float, *, is_local: bool = False) -> float:
    """The moment that is written, in seconds since the epoch; `now` only judges how far ahead it is.

    Without an offset it is this machine's time where it `is_local`, and is refused elsewhere.

    Raises:
        MomentMalformed: It is no date and time of ISO 8601, or says no offset.
        MomentTooFar: It lies more than `FARTHEST` ahead.
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
    """A stretch of time in its two largest units; one that is negative is none."""
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
    """A moment, in seconds since the epoch, as people write it."""
    return f"{utc(seconds):%Y-%m-%d %H:%M:%S} UTC"


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
