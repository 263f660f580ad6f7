"""Whole numbers in texts that anybody may write."""

from __future__ import annotations

from typing import Final

#: Digits that the keys of both databases have room for.
_KEY_DIGITS: Final = 18


def number_in(text: str, digits: int = _KEY_DIGITS) -> int | None:
    """The number that a text of at most so many digits is, 0 or above; None for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None
