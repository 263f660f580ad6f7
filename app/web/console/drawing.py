"""The time line of an operation: a bar for each step, and where it rested, in percent of the width."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from app import clock
from app.domain.timeline import Axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.overview import Portrait
    from app.store.overview import Ran


class Bar(NamedTuple):
    """A step on the line: where it begins and how wide it is."""

    step: Ran
    x: float
    width: float


class TimeLine(NamedTuple):
    """What is drawn, and from when to when."""

    bars: Sequence[Bar]
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


def _bar(axis: Axis, step: Ran, now: float) -> Bar:
    start, stop = axis.place(step.started_at), axis.place(step.finished_at or now)
    wide = max(0.4, _percent(stop - start))
    return Bar(step, min(_percent(start), 100 - wide), wide)


def _span(axis: Axis, start: float, stop: float) -> tuple[float, float]:
    return _percent(axis.place(start)), _percent(axis.place(stop) - axis.place(start))


def _percent(part: float) -> float:
    return round(100 * part, 2)
