"""The time line: where an operation rested, and where moments lie on a line on which rests are short."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pausable.model.times import Axis, Stretch, left, stretches

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


def test_the_rest_takes_as_long_as_the_latest_steps_did() -> None:
    assert left([(0, 10), (10, 20), (20, 30)], 3, 9) == 90
    assert left([(0, 30)], 0.25, 0.75) == 90
    assert left([(0, 30)], 3, 0) == 0


def test_a_standstill_between_two_steps_is_no_work_and_a_short_wait_is() -> None:
    assert left([(0, 10), (110, 120)], 2, 2) == 20
    assert left([(0, 10), (11, 20)], 2, 2) == 20


def test_steps_beside_each_other_are_not_counted_twice() -> None:
    assert left([(0, 10), (0, 10), (5, 10)], 3, 6) == 20


def test_many_short_steps_tell_enough() -> None:
    assert left([(number / 100, number / 100 + 0.01) for number in range(40)], 40, 4000) == pytest.approx(40)


@pytest.mark.parametrize(
    ("spans", "done", "rest"), [([(0, 0.5)], 1, 1), ([(0, 100)], 0.0, 1), ([(0, 100)], 0.001, 1), ([], 0, 5)]
)
def test_nothing_is_foretold_from_too_little(spans: list[tuple[float, float]], done: float, rest: float) -> None:
    assert left(spans, done, rest) is None


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
