"""A workflow that pauses by itself, and whose callback does not return before a gate is there."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pausable import Canvas, step, workflow
from pausable.canvas.pause import pause_or_continue
from tests.recovery.flows import plus, write_line


@step
def always(_retval: Any) -> bool:
    """A clause that asks for a pause."""
    return True


@step
def hang(_retval: Any, _remaining: list[dict[str, Any]], ledger: str, gate: str) -> None:
    """A callback: write down that it was called, and wait until the gate is there."""
    write_line(ledger, "called")
    until = time.monotonic() + 60
    while not Path(gate).exists():
        assert time.monotonic() < until, f"nobody opened {gate}"
        time.sleep(0.01)


@workflow("hanging-callback", pause_every=0)
def hanging_callback(ledger: str, gate: str) -> Canvas:
    """A step, a pause point whose callback hangs, and one more step."""
    return plus.s(0) | pause_or_continue.s(clause=always.s(), callback=hang.s(ledger, gate)) | plus.s()
