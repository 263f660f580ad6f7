"""A step with a hard time limit: workers whose pools kill nothing refuse to start with it."""

from __future__ import annotations

import os
import time

from pausable import Canvas, step, workflow
from pausable.errors import TimeLimitPassed
from tests.recovery.flows import lines_of, plus, write_line


@step(time_limit=1)
def overlong(_value: int, ledger: str) -> None:
    """Run for longer than it may."""
    write_line(ledger, f"{os.getpid()}")
    time.sleep(30)


@workflow("overlong")
def overlong_one(ledger: str) -> Canvas:
    """A step that is killed for its time limit."""
    return plus.s(0) | overlong.s(ledger) | plus.s()


def _is_late(fault: BaseException) -> bool:
    return isinstance(fault, TimeLimitPassed)


@step(time_limit=1, max_retries=1, retry_delay=0.2, retry_on=_is_late)
def overlong_once(value: int, ledger: str) -> int:
    """Run for longer than it may, the first time."""
    write_line(ledger, f"{os.getpid()}")
    if len(lines_of(ledger)) == 1:
        time.sleep(30)
    return value


@workflow("overlong-once")
def overlong_once_alone(ledger: str) -> Canvas:
    """A step that is killed for its time limit, and is run again after that."""
    return plus.s(0) | overlong_once.s(ledger) | plus.s()
