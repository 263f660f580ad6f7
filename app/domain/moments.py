"""Moments as people write them: ISO 8601, with an offset from UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from app.errors import MomentMalformed, MomentTooFar

#: Seconds ahead that something may be asked for at the most: ten years.
FARTHEST: Final = 10 * 366 * 86400.0


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
