"""Making much that is all kept, without the garbage collector looking through it again and again."""

from __future__ import annotations

import gc
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Given = ParamSpec("Given")
Made = TypeVar("Made")


def uncollected(make: Callable[Given, Made]) -> Callable[Given, Made]:
    """Let a function run without the collector, which would look at a large document several times as it grows."""

    @wraps(make)
    def made(*args: Given.args, **kwargs: Given.kwargs) -> Made:
        was_on = gc.isenabled()
        gc.disable()
        try:
            return make(*args, **kwargs)
        finally:
            if was_on:  # of two threads here at once the first to leave turns it on again: that costs time alone
                gc.enable()

    return made
