"""The time line: where an operation rested, and where moments lie on a line on which rests are short."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.timeline import Axis, Stretch, left, stretches, worked

moments = st.floats(0, 1e6, allow_nan=False)


@pytest.mark.parametrize(
    ("moves", "rests"),
    [
        ([], []),
        ([(0, "SCHEDULED"), (1, "IN PROGRESS")], []),
        ([(0, "SCHEDULED"), (1, "IN PROGRESS"), (5, "REQUESTING PAUSE"), (6, "PAUSED")], [Stretch(6, None)]),
        (
            [(1, "IN PROGRESS"), (6, "PAUSED"), (9, "IN PROGRESS"), (12, "COMPLETED")],
            [Stretch(6, 9), Stretch(12, None)],
        ),
        ([(1, "IN PROGRESS"), (6, "FAILED"), (9, "IN PROGRESS")], [Stretch(6, 9)]),
        ([(1, "IN PROGRESS"), (6, "PAUSED"), (7, "SCHEDULED"), (9, "IN PROGRESS")], [Stretch(6, 9)]),
        ([(0, "PAUSED"), (3, "IN PROGRESS")], []),
    ],
)
def test_an_operation_rests_from_where_it_stopped_until_it_went_on(
    moves: list[tuple[float, str]], rests: list[Stretch]
) -> None:
    assert stretches(moves) == rests


def test_time_in_which_it_rested_is_no_work() -> None:
    assert worked([Stretch(10, 40), Stretch(50, None)], 0, 60) == 20


def test_the_rest_takes_as_long_as_what_is_done_did() -> None:
    assert left(30, 0.25) == 90
    assert left(30, 1) == 0


@pytest.mark.parametrize(("seconds", "part"), [(0.5, 0.5), (100, 0.0), (100, 0.001)])
def test_nothing_is_foretold_from_too_little(seconds: float, part: float) -> None:
    assert left(seconds, part) is None


def test_a_rest_is_drawn_short_however_long_it_was() -> None:
    axis = Axis(0, 1_000_010, [Stretch(5, 1_000_005)])

    assert axis.place(5) == pytest.approx(0.485)
    assert axis.place(1_000_005) == pytest.approx(0.515)


@given(moments, moments, st.lists(st.tuples(moments, moments), max_size=8), st.lists(moments, min_size=2, max_size=20))
def test_what_is_later_lies_farther_and_nothing_lies_outside(
    one: float, other: float, ends: list[tuple[float, float]], looked_at: list[float]
) -> None:
    cuts = sorted({moment for pair in ends for moment in pair})
    rests = [Stretch(begin, end) for begin, end in zip(cuts[::2], cuts[1::2], strict=False)]
    axis = Axis(min(one, other), max(one, other), rests)

    places = [axis.place(at) for at in sorted(looked_at)]

    assert all(0 <= place <= 1 for place in places)
    assert all(before <= after + 1e-9 for before, after in itertools.pairwise(places))


@given(moments, st.floats(0.01, 1e5))
def test_a_line_without_rests_is_even(begin: float, width: float) -> None:
    axis = Axis(begin, begin + width, [])

    assert axis.place(begin) == 0
    assert axis.place(begin + width) == pytest.approx(1)
    assert axis.place(begin + width / 4) == pytest.approx(0.25, abs=1e-3)
