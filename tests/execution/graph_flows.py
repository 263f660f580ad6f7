"""Flows: graphs that no chain or group could say, and some that nobody could run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from app.workflows import Flow, chain, group, step, workflow


@step
def give(value: Any = None) -> Any:
    return value


@step
def add(*numbers: int, more: int = 0) -> int:
    return sum(numbers) + more


@step
def sum_of(parts: dict[str, Any], beside: list[Any] | None = None) -> int:
    """Whatever lies within, added up."""
    found = list(parts.values()) + list(beside or [])
    return sum(sum(one) if isinstance(one, list) else one for one in found)


@step
def wait_for(file: str) -> int:
    until = time.monotonic() + 40
    while not Path(file).exists():
        assert time.monotonic() < until, f"nobody made {file}"
        time.sleep(0.005)
    return 100


@step
def make(file: str) -> int:
    """Let `wait_for` go on: it would wait in vain if it were waited for."""
    Path(file).touch()
    return 1


@workflow("graph-nested")
def nested() -> Flow:
    """Nodes within lists and dicts, canvases as nodes, and order alone."""
    flow = Flow()
    one, two = flow.add(give.s(1)), flow.add(give.s(2), name="second")
    three = flow.add(add.s(one, two))
    many = flow.add(group(add.s(three, number) for number in (10, 20)))
    line = flow.add(chain(add.s(two, more=5), add.s(3)), upstream=[many])
    flow.add(sum_of.s({"a": one, "b": many}, beside=[three, line]), upstream=flow.map(give, [one, 7]))
    return flow


@workflow("graph-no-barrier")
def no_barrier(file: str) -> Flow:
    """A step of the second level lets one of the first go on."""
    flow = Flow()
    slow, quick = flow.add(wait_for.s(file)), flow.add(give.s(1))
    flow.add(add.s(slow, flow.add(make.si(file), upstream=[quick])))
    return flow


@workflow("graph-cyclic")
def cyclic() -> Flow:
    """Two nodes that wait for each other."""
    flow = Flow()
    one = flow.add(give.s(1), name="one")
    two = flow.add(give.s(one), name="two")
    flow.edge(two, one)
    return flow


@workflow("graph-strange")
def strange() -> Flow:
    """A node of another flow."""
    flow = Flow()
    flow.add(give.s(Flow("other").add(give.s(1))))
    return flow


@workflow("graph-several")
def several() -> Flow:
    """Three nodes that nothing waits for."""
    flow = Flow()
    first = flow.add(give.s(1))
    flow.map(add, [first, first, 5])
    return flow


@workflow("graph-line")
def line(length: int) -> Flow:
    """One node after the other."""
    flow = Flow()
    last: Any = 0
    for _ in range(length):
        last = flow.add(add.s(last, 1))
    return flow
