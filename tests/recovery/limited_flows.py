"""A step with a hard time limit: workers whose pools kill nothing refuse to start with it."""

from __future__ import annotations

import os
import time

from app.workflows import Canvas, step, workflow
from tests.recovery.flows import plus, write_line


@step(time_limit=1)
def overlong(_value: int, ledger: str) -> None:
    """Run for longer than it may."""
    write_line(ledger, f"{os.getpid()}")
    time.sleep(30)


@workflow("overlong")
def overlong_one(ledger: str) -> Canvas:
    """A step that is killed for its time limit."""
    return plus.s(0) | overlong.s(ledger) | plus.s()
