"""Workflows with steps that have wishes of their own: a queue, a priority, a time limit, a time to start."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pausable import Canvas, step, workflow
from tests.execution.flows import add, same

if TYPE_CHECKING:
    from collections.abc import Callable


@step(queue="own")
def queued_apart(value: Any) -> Any:
    return value


@step(priority=7)
def hurried(value: Any) -> Any:
    return value


@step(soft_time_limit=0.05)
def hasty(_value: Any = None) -> None:
    time.sleep(20)


def with_option(name: str) -> Any:
    call: Any = same.s()
    return call.set(**{name: 60})


#: Steps that get a message of their own.
APART: dict[str, Callable[[], Any]] = {
    "queue of the task": lambda: queued_apart.s(),
    "queue of the call": lambda: same.s().set(queue="own"),
    "priority of the task": lambda: hurried.s(),
    "priority of the call": lambda: same.s().set(priority=3),
    "time limit": lambda: with_option("time_limit"),
    "soft time limit": lambda: with_option("soft_time_limit"),
    "countdown": lambda: same.s().set(countdown=0.01),
    "eta": lambda: same.s().set(eta=datetime.now(UTC) + timedelta(seconds=1)),
}


@workflow("apart")
def apart(kind: str) -> Canvas:
    """Two steps, one that gets a message of its own, and two more."""
    canvas: Canvas = same.s(1) | add.s(1) | APART[kind]() | add.s(1) | add.s(1)
    return canvas


@workflow("hasty")
def in_haste() -> Canvas:
    """A step that takes longer than it may."""
    return same.s(1) | hasty.s() | same.s()


@workflow("apart-countdown")
def then_a_countdown(seconds: float) -> Canvas:
    """A step, and one that waits for its own time."""
    return add.s(1, 1) | add.s(1).set(countdown=seconds)


@workflow("first-countdown")
def first_a_countdown(seconds: float) -> Canvas:
    """A step that waits for its own time, and one more."""
    return add.s(1, 1).set(countdown=seconds) | add.s(1)
