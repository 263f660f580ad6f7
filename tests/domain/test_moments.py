from __future__ import annotations

import pytest

from pausable.errors import MomentMalformed, MomentTooFar
from pausable.model.times import FARTHEST, moment_of

#: 2027-01-15 08:00 UTC.
NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    "text",
    ["2027-01-15T08:00:00Z", "2027-01-15T09:00:00+01:00", "20270115T0300-0500", "2027-01-15 08:00:00.000+00:00"],
)
def test_a_moment_is_read_with_its_offset(text: str) -> None:
    assert moment_of(text, NOW) == NOW


@pytest.mark.parametrize(
    "text", ["", "soon", "2027-01-15T08:00:00", "2027-01-15", "2027-02-30T08:00:00Z", "1800000000"]
)
def test_what_is_no_moment_or_says_no_offset_is_refused(text: str) -> None:
    with pytest.raises(MomentMalformed):
        moment_of(text, NOW)


def test_without_an_offset_it_may_be_this_machine_s_time() -> None:
    assert moment_of("2027-01-15T08:00:00", NOW, is_local=True) == pytest.approx(NOW, abs=15 * 3600)


def test_ten_years_ahead_are_too_far_and_the_past_is_not() -> None:
    assert moment_of("2036-12-31T00:00:00Z", NOW) <= NOW + FARTHEST
    with pytest.raises(MomentTooFar):
        moment_of("9999-12-31T23:59:59-12:00", NOW)
    assert moment_of("0001-01-01T00:00:00+14:00", NOW) < 0
