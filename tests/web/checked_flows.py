"""Workflows whose steps name a secret, a store that is nowhere, and a queue of their own."""

from __future__ import annotations

from typing import Any

from pausable import Canvas, Secret, step, workflow

KEY = Secret("CHECKED_KEY")


@step
def first(value: int) -> int:
    return value + 1


@step
def second(value: int, more: int = 1) -> int:
    return value + more


@step
def asking(value: int) -> int:
    return value + len(KEY.get())


@step(target="{operation_id}.json", result="nowhere://here")
def keeping(value: int) -> int:
    return value


@step(queue="apart")
def apart(value: int) -> int:
    return value


def built(rest: Any) -> Any:
    """Two steps, and another one behind them."""
    canvas = first.s(1) | second.s(more=2)
    return canvas | rest.s() if rest else canvas


@workflow("plain")
def plain() -> Canvas:
    """Two steps of no other needs."""
    canvas: Canvas = built(None)
    return canvas


@workflow("asks")
def asks() -> Canvas:
    """The last step asks for a secret."""
    canvas: Canvas = built(asking)
    return canvas


@workflow("keeps")
def keeps() -> Canvas:
    """The last step has a target in a store that is nowhere."""
    canvas: Canvas = built(keeping)
    return canvas


@workflow("apart")
def apart_from() -> Canvas:
    """The last step has a queue of its own."""
    canvas: Canvas = built(apart)
    return canvas
