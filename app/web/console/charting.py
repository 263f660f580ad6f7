"""A chart of what ended in each minute: a bar each, in percent of the width and pixels of the height."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

#: The height of a chart in pixels, and of the lowest bar that stands for anything.
HEIGHT: Final = 88
_LOWEST: Final = 2.0
#: The part of its place that a bar fills.
_FILLED: Final = 0.78


class Bar(NamedTuple):
    """What ended in one minute; `minute` begins at that moment, in seconds since the epoch."""

    minute: float
    ended: int
    x: float
    y: float
    width: float
    height: float


class Chart(NamedTuple):
    """Bars from left to right, those of minutes in which nothing ended left out; the sum of all and the highest."""

    bars: Sequence[Bar]
    total: int
    highest: Bar | None


def chart(counts: Sequence[int], first_minute: int) -> Chart:
    """The chart of these counts, one for each minute; the first is that of `first_minute` since the epoch."""
    most, place = max(counts, default=0), 100 / max(1, len(counts))
    bars = []
    for number, count in enumerate(counts):
        if count:
            height = round(max(_LOWEST, HEIGHT * count / most), 1)
            minute = 60.0 * (first_minute + number)
            bars.append(
                Bar(minute, count, round(place * number, 2), HEIGHT - height, round(place * _FILLED, 2), height)
            )
    return Chart(bars, sum(counts), max(bars, key=lambda bar: bar.ended, default=None))
