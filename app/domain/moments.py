"""Moments: seconds since the epoch, kept within the years that calendars have, and as people write them (ISO 8601)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from app.errors import MomentMalformed, MomentTooFar

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
