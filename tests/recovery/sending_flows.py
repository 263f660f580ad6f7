"""A workflow whose step sends messages of its own, as any code under Celery may."""

from __future__ import annotations

import time

from pausable import Canvas, step, workflow
from tests.recovery.flows import write_line


@step
def slow(ledger: str, number: int) -> None:
    """Take a moment, and write down the number."""
    time.sleep(0.5)
    write_line(ledger, str(number))


@step
def send(ledger: str, many: int) -> None:
    """Send so many messages, and one that is to run later."""
    for number in range(many):
        slow.delay(ledger, number)
    slow.apply_async((ledger, many), countdown=4)


@workflow("sending")
def sending(ledger: str, many: int) -> Canvas:
    """A step that sends messages."""
    return send.si(ledger, many)
