"""A workflow whose first step leaves a timer that raises an exception wherever the process is by then."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from pausable import Canvas, chain, step, workflow

if TYPE_CHECKING:
    from types import FrameType


class Rang(Exception):
    """Raised by the handler of a signal."""


def _ring(_number: int, _frame: FrameType | None) -> None:
    raise Rang


@step
def arm(seconds: float) -> None:
    """Have an exception raised in so many seconds, once."""
    signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)


@step
def tiny(number: int) -> int:
    return number


@workflow("interrupted")
def interrupted(seconds: float, steps: int) -> Canvas:
    """A step that arms the timer, and many that are over at once."""
    return chain(arm.si(seconds), *(tiny.si(number) for number in range(steps)))
