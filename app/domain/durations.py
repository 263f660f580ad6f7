"""Times in words: a stretch of time in its two largest units, and a moment that is the same on every machine."""

from __future__ import annotations

from app.domain.moments import utc


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
