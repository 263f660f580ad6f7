"""Moments that no calendar has: a countdown of a million years, a retry in the year 9999."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from app.cli import output
from app.web.console import wording
from pausable.engine.publish import not_before, written
from pausable.model.signals import RETRY
from pausable.model.times import LATEST, bounded, in_utc, seconds_of, utc

FAR = [1e300, 253402300799.0, 253402400000.0, 1e12, float("inf"), float("nan"), -1e300]


@pytest.mark.parametrize("seconds", FAR)
def test_each_moment_is_shown_as_one_that_calendars_have(seconds: float) -> None:
    shown = [in_utc(seconds), written(seconds), output.moment(seconds), wording.brief(seconds), wording.iso(seconds)]

    assert all(shown)
    assert utc(seconds).astimezone(timezone(timedelta(hours=14))).year <= 9999


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-23)), timezone(timedelta(hours=23)), None])
def test_the_ends_of_the_calendar_are_moments_in_every_zone(zone: timezone | None) -> None:
    assert seconds_of(datetime.max.replace(tzinfo=zone)) == LATEST
    assert utc(seconds_of(datetime.min.replace(tzinfo=zone))).year == 1


def test_a_countdown_of_any_length_ends_at_a_moment() -> None:
    assert not_before({"options": {"countdown": 1e300}}, 0.0) == LATEST
    assert bounded(5.5) == 5.5


def test_a_signal_to_run_again_in_a_million_years_has_a_moment() -> None:
    assert RETRY("later", start_time=timedelta(days=999_999_999)).start_time.year == 9999
