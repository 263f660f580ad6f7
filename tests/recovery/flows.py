"""Workflows whose steps write down that they run, wait at gates, kill their own process, or take too long."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path
from typing import Any

from pausable import Canvas, group, step, workflow


def write_line(file: str, line: str) -> None:
    """Append a line in one write, which other processes cannot come between."""
    with Path(file).open("a") as ledger:
        ledger.write(f"{line}\n")


def lines_of(file: str) -> list[str]:
    return Path(file).read_text().splitlines() if Path(file).exists() else []


@step
def run_at(value: int, ledger: str, gate: str) -> int:
    """Write down the process, and wait until the gate is there."""
    write_line(ledger, f"{os.getpid()}")
    until = time.monotonic() + 120  # longer than a test waits for its other workers before it opens the gate
    while not Path(gate).exists():
        assert time.monotonic() < until, f"nobody opened {gate}"
        time.sleep(0.005)
    return value + 1


@step
def plus(value: int) -> int:
    return value + 1


@step
def die(value: int, ledger: str, times: int) -> int:
    """Kill the own process, so many times; then go on."""
    write_line(ledger, f"{os.getpid()}")
    if len(lines_of(ledger)) <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return value + 1


@step(bind=True, max_retries=1)
def again_soon(self: Any, value: int, ledger: str) -> int:
    """Ask to be run again in a tenth of a second."""
    write_line(ledger, f"{time.time()}")
    if self.request.retries == 0:
        raise self.retry(countdown=0.1)
    return value


@step
def collect(values: list[int]) -> int:
    logging.getLogger(__name__).debug("collected %s", values)
    return sum(values)


@workflow("held")
def held(ledger: str, gate: str) -> Canvas:
    """A step, one that waits at a gate, and one more."""
    return plus.s(0) | run_at.s(ledger, gate) | plus.s()


@workflow("held-many")
def held_many(ledger: str, gate: str, width: int) -> Canvas:
    """As many steps beside each other that wait at one gate."""
    return plus.s(0) | group(run_at.s(ledger, gate) for _ in range(width)) | collect.s()


@workflow("deadly")
def deadly(ledger: str, times: int) -> Canvas:
    """A step, one that kills its process so many times, and one more."""
    return plus.s(0) | die.s(ledger, times) | plus.s()


@workflow("soon")
def soon(ledger: str) -> Canvas:
    """A step that asks to be run again soon."""
    return plus.s(0) | again_soon.s(ledger)


@step(max_retries=1, retry_delay=2)
def mended_later(value: int, ledger: str) -> int:
    """Fail the first time."""
    write_line(ledger, str(time.time()))
    if len(lines_of(ledger)) == 1:
        raise ArithmeticError("not yet")
    return value


@workflow("mended-later")
def mended_later_alone(ledger: str) -> Canvas:
    """A step that fails once and is run again after two seconds."""
    return plus.s(0) | mended_later.s(ledger)


@step
def swift_sum(value: int, number: int) -> int:
    return value + number


@step
def unhurried_sum(value: int, number: int) -> int:
    """Add, in a fiftieth of a second."""
    time.sleep(0.02)
    return value + number


@workflow("sums")
def sums(numbers: list[int]) -> Canvas:
    """Add numbers one after the other, a few of them slowly."""
    canvas: Canvas = plus.s(-1)
    for place, number in enumerate(numbers):
        canvas |= (unhurried_sum if place % 6 == 5 else swift_sum).s(number)
    return canvas
