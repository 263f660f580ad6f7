"""When a queued step is published: at once and again after a while, or first when its countdown is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app import clock
from app.domain.call_options import read_eta
from app.domain.moments import bounded, seconds_of, utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def not_before(call: Mapping[str, Any], now: float) -> float | None:
    """When a step's `countdown` or `eta` lets it start, counted from `now`; None when it may start at once."""
    options = call.get("options")
    if not options:
        return None
    if options.get("countdown"):
        return bounded(now + float(options["countdown"]))
    eta = options.get("eta")
    start = seconds_of(read_eta(eta)) if eta else now
    return start if start > now else None


def is_timed(call: Mapping[str, Any]) -> bool:
    """Whether a step says itself when it starts, by a `countdown` or `eta`."""
    options = call.get("options")
    return bool(options and (options.get("countdown") or options.get("eta")))


def next_publish(call: Mapping[str, Any], now: float, wait: float) -> float:
    """When a step that is queued now is next published by whoever sweeps: after `wait` seconds if it may start now."""
    return not_before(call, now) or now + wait


def earliest(calls: Iterable[Mapping[str, Any]], now: float) -> float | None:
    """When the first of these steps starts that must wait for its own time; None where there is none."""
    return min((start for call in calls if (start := not_before(call, now)) is not None), default=None)


def later(moment: float | None) -> float | None:
    """The moment if it is yet to come, in seconds since the epoch; None for one that has passed, or none."""
    return moment if moment is not None and moment > clock.now() else None


def written(moment: float) -> str:
    """A moment in words for the history: UTC, to the second."""
    return utc(moment).strftime("%Y-%m-%d %H:%M:%SZ")
