"""Workflows whose steps stop in the middle of their code: the one that the model tells of, and any other shape."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from celery import chain, group

from pausable import Canvas, step, workflow
from tests.model.hands import gate

if TYPE_CHECKING:
    from collections.abc import Iterator


@step
def told(value: Any, name: str) -> str:
    """Tell what was handed over, once whoever watches lets this step's code go on."""
    gate("code", "abcd".index(name))
    return f"{name}({','.join(value) if isinstance(value, list) else value})"


@workflow("branch")
def branch() -> Canvas:
    """One step, two beside each other, and one that waits for both."""
    return told.s("-", name="a") | group(told.s(name="b"), told.s(name="c")) | told.s(name="d")


#: What it comes to when nobody disturbs it.
RESULT = '"d(b(a(-)),c(a(-)))"'


@step
def woven(value: Any = None, name: str = "") -> list[Any]:
    """Tell what was handed over, once whoever watches lets this step's code go on."""
    gate("code", 0)
    return [name, value]


@workflow("weave")
def weave(shape: list[Any]) -> Canvas:
    """A canvas of that shape: a list whose first element is "chain" or "group"; a number stands for a step."""
    canvas: Canvas = _canvas(shape, count())
    return canvas


def _canvas(shape: Any, names: Iterator[int]) -> Any:
    if not isinstance(shape, list):
        return woven.s(name=f"s{next(names)}")
    kind, *parts = shape
    canvases = [_canvas(part, names) for part in parts]
    return chain(*canvases) if kind == "chain" else group(canvases)
