"""Whole numbers in texts that anybody may write."""

from __future__ import annotations

import pytest

from pausable.texts import number_in


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), ("9" * 18, 10**18 - 1)])
def test_digits_are_a_number(text: str, number: int) -> None:
    assert number_in(text) == number


@pytest.mark.parametrize("text", ["", "-1", "+1", " 1", "1.0", "٣", "²", "9" * 19, "one"])
def test_any_other_text_is_none(text: str) -> None:
    assert number_in(text) is None
