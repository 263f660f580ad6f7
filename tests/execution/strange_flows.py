"""Flows whose tasks have names, and whose steps have results, that documents and addresses find hard."""

from __future__ import annotations

from typing import Any

from celery import chain

from app.workflows import step, workflow
from tests.execution.graph_flows import give

#: Names of tasks that Celery takes as they are.
NAMES = (
    "reports/monthly",
    "ends.in.a.dot.",
    "what?",
    "50% off",
    "a#b",
    "back\\slash",
    "größe",
    "tab\there",
    "x" * 1100,
    "..",
    "🧑‍🔬",
)


def _named(name: str) -> Any:
    @step(name=name)
    def strange(value: Any = None) -> Any:
        print("ran")  # noqa: T201
        return value

    return strange


TASKS = [_named(name) for name in NAMES]


@step
def nest(deep: int) -> Any:
    """A list in a list, so many deep."""
    value: list[Any] = []
    for _ in range(deep):
        value = [value]
    return value


@step
def measure(value: list[Any]) -> int:
    return len(value)


@workflow("strange-names")
def strange_names(which: int) -> Any:
    """A step with a strange name between others."""
    return chain(give.s(1), TASKS[which].s(), TASKS[which].s(), give.s())


@workflow("deep")
def deep(deep: int) -> Any:
    """A step that hands on a value nested deep."""
    return nest.s(deep) | measure.s()
