"""Workflows of any number of steps, in three shapes: one after the other, beside each other, and densely connected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from celery import chain, group

from pausable import Canvas, Flow, step, workflow
from pausable.engine.celery_app import this_engine
from pausable.service.operations import Wish, pause

if TYPE_CHECKING:
    from pausable.canvas.flow import Node

#: Steps in one layer of a dense graph; each waits for all steps of the layer before.
LAYER = 5


@step
def count_up(value: Any = None) -> int:
    return len(value) if isinstance(value, list) else 1


@step
def begin(gate: str, operation_id: int, *, pauses: bool) -> int:
    """Fail while the gate is closed, which is so until a file lies there; ask for a pause, or do neither."""
    if not Path(gate).exists():
        raise ArithmeticError(gate)
    if pauses:
        pause(this_engine(), Wish(operation_id, "a step"))
    return 1


@step
def weigh(text: str, **_more: str) -> int:
    return len(text)


@step(bind=True)
def swell(self: Any, *texts: str) -> int:
    """Ask to be run again with one argument more, which is a long one."""
    raise self.retry(args=(*texts, "x" * 100_000), countdown=0)


@workflow("swelling")
def swelling(operation_id: int) -> Canvas:
    """One step, whose arguments grow."""
    return chain(swell.s("text"))


@workflow("heavy")
def heavy(operation_id: int, size: int, characters: int) -> Canvas:
    """So many steps beside each other, each with so long an argument, and with two in an error callback."""
    text = "x" * characters
    calls = [weigh.s(text, more=text).on_error(weigh.si(text)) for _ in range(size)]
    return group(calls) if size > 1 else calls[0]


@workflow("deep")
def deep(operation_id: int, size: int, gate: str, *, pauses: bool = False) -> Canvas:
    """So many steps, one after the other."""
    return chain(begin.s(gate, operation_id, pauses=pauses), *(count_up.s() for _ in range(size - 1)))


@workflow("wide")
def wide(operation_id: int, size: int, gate: str, *, pauses: bool = False) -> Canvas:
    """So many steps: one, all but two beside each other, and one that is handed all their values."""
    first = begin.s(gate, operation_id, pauses=pauses)
    return first | group(count_up.s() for _ in range(size - 2)) | count_up.s()


@step
def add_up(values: list[list[int]]) -> int:
    return sum(map(sum, values))


@step(bind=True)
def unfold(self: Any, value: int) -> Any:
    """Put two steps in its own place."""
    return self.replace(group(count_up.si(), count_up.si()))


@workflow("unfolding")
def unfolding(operation_id: int, size: int, gate: str) -> Canvas:
    """A step, so many beside each other that replace themselves, and one that is handed all that they become."""
    return begin.s(gate, operation_id, pauses=False) | group(unfold.s() for _ in range(size)) | add_up.s()


@workflow("dense")
def dense(operation_id: int, size: int, gate: str, *, pauses: bool = False) -> Flow:
    """So many steps in layers; each step is handed the values of the whole layer before."""
    flow = Flow("dense")
    layer: list[Node] = [flow.add(begin.s(gate, operation_id, pauses=pauses))]
    for number in range(1, size, LAYER):
        layer = [flow.add(count_up.s(list(layer))) for _ in range(min(LAYER, size - number))]
    return flow
