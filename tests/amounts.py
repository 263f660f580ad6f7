"""How much the random tests try: a part of it usually, and all of it with LONG=1, which `make test-long` sets."""

from __future__ import annotations

import os
from typing import Final, TypeVar

from hypothesis import settings

T = TypeVar("T")

IS_LONG: Final = os.environ.get("LONG", "0") not in ("", "0")


def load_profile() -> None:
    """Have Hypothesis try as much where a test gives no number of its own, and print what repeats a failure."""
    settings.register_profile("ours", max_examples=usually(25, long=100), print_blob=True)
    settings.load_profile("ours")


def usually(some: T, *, long: T) -> T:
    """Return what a test tries: `some` of it, or with LONG=1 as much as `long`."""
    return long if IS_LONG else some
