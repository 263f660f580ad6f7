"""Charts: what ended in each minute, and the time line of an operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from pausable import clock
from pausable.model.times import Axis

if TYPE_CHECKING:
    from pausable.db.views import Ran
    from pausable.service.pages import Portrait

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


class StepBar(NamedTuple):
    """A step on the line: where it begins and how wide it is."""

    step: Ran
    x: float
    width: float


class TimeLine(NamedTuple):
    """What is drawn, and from when to when."""

    bars: Sequence[StepBar]
    rests: Sequence[tuple[float, float]]
    begin: float
    end: float


def time_line(of: Portrait) -> TimeLine | None:
    """The time line of the steps that a portrait has; None while none has begun."""
    if not of.bars:
        return None
    now = of.view.operation.finished_at or clock.now()
    begin = min(step.started_at for step in of.bars)
    end = max([step.finished_at or now for step in of.bars])
    axis = Axis(begin, end, of.stretches)
    bars = [_bar(axis, step, now) for step in of.bars]
    rests = [_span(axis, start, stop) for start, stop in axis.rests]
    return TimeLine(bars, rests, begin, end)


def _bar(axis: Axis, step: Ran, now: float) -> StepBar:
    start, stop = axis.place(step.started_at), axis.place(step.finished_at or now)
    wide = max(0.4, _percent(stop - start))
    return StepBar(step, min(_percent(start), 100 - wide), wide)


def _span(axis: Axis, start: float, stop: float) -> tuple[float, float]:
    return _percent(axis.place(start)), _percent(axis.place(stop) - axis.place(start))


def _percent(part: float) -> float:
    return round(100 * part, 2)
