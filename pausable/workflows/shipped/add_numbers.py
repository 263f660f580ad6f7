"""The smallest workflow: a chain of five steps, each adding a number to the previous result."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from pausable.workflows.registry import workflow
from pausable.workflows.step import step

if TYPE_CHECKING:
    from pausable.workflows.registry import Canvas

Seconds = Annotated[float, Field(ge=0, le=60, description="How long a step takes, so that a pause can be watched.")]


@step
def start_with(number: int, delay: float) -> int:
    """T1: Return the number to begin with."""
    time.sleep(delay)
    return number


@step
def add_two(total: int, delay: float) -> int:
    """T2: Add two."""
    time.sleep(delay)
    return total + 2


@step
def add_three(total: int, delay: float) -> int:
    """T3: Add three."""
    time.sleep(delay)
    return total + 3


@step
def add_four(total: int, delay: float) -> int:
    """T4: Add four."""
    time.sleep(delay)
    return total + 4


@step
def save_result(total: int, operation_id: int) -> dict[str, int]:
    """T5: Return the operation's result."""
    return {"operation_id": operation_id, "total": total}


@workflow("add-numbers")
def add_numbers(operation_id: int, start: int = 1, delay: Seconds = 0) -> Canvas:
    """Add 2, 3 and 4 to a number, one step after the other."""
    return (
        start_with.s(start, delay)
        | add_two.s(delay)
        | add_three.s(delay)
        | add_four.s(delay)
        | save_result.s(operation_id)
    )
