"""Figures: how rounds become a ratio, and a ratio a verdict."""

from __future__ import annotations

from bench.figure import Figure, Spread, at_least, at_most, compared, interleaved, percentile


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    figure = compared("a chain", "operations/s", ([40, 90, 10], [10, 30, 1]), "another", at_least(4))

    assert figure.ratio == Spread(4, 3, 10)
    assert figure.ours == Spread(40, 10, 90)


def test_a_target_judges_the_ratio_where_there_is_one() -> None:
    assert compared("a chain", "ms", ([3], [1]), "another", at_most(2)).verdict == "MISSED"
    assert compared("a chain", "ms", ([2], [1]), "another", at_most(2)).verdict == "met"


def test_a_target_judges_the_value_where_there_is_no_ratio() -> None:
    assert Figure("starting", "operations/s", Spread(500, 1, 900), at_least(500)).verdict == "met"
    assert Figure("starting", "operations/s", Spread(499, 1, 900), at_least(500)).verdict == "MISSED"


def test_a_figure_without_a_target_is_told_for_information() -> None:
    assert Figure("starting", "operations/s", Spread(1, 1, 1)).verdict == "for information"


def test_contenders_take_turns() -> None:
    turns: list[str] = []

    interleaved(2, lambda: turns.append("a"), lambda: turns.append("b"))

    assert turns == ["a", "b", "a", "b"]


def test_a_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 0.99) == 7
    assert percentile(range(100), 0.95) == 95
