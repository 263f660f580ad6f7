"""Workflows with long steps that keep their place."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pausable import Canvas, cursor, step, workflow
from tests.recovery.flows import plus, write_line


@step
def work_through(value: int, rows: int, ledger: str, gate: str) -> int:
    """Write down each row, slowly until the gate is there."""
    write_line(ledger, f"from {cursor.place} in {os.getpid()}")
    for row in cursor.over(range(rows)):
        write_line(ledger, str(row))
        if not Path(gate).exists():
            time.sleep(0.01)
    return value + 1


@step
def oversleep(value: int, ledger: str, gate: str) -> int:
    """Sleep for an hour, unless the gate is there."""
    write_line(ledger, str(os.getpid()))
    if not Path(gate).exists():
        time.sleep(3600)
    return value + 1


@workflow("long")
def long(rows: int, ledger: str, gate: str) -> Canvas:
    """A step, a long one, and one more."""
    return plus.s(0) | work_through.s(rows, ledger, gate) | plus.s()


@workflow("overslept")
def overslept(ledger: str, gate: str) -> Canvas:
    """A step, one that sleeps, and one more."""
    return plus.s(0) | oversleep.s(ledger, gate) | plus.s()
