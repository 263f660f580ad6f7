"""Flows: graphs that no chain or group could say, and some that nobody could run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pausable import Flow, chain, group, step, workflow


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


@step(bind=True)
def fan_out(self: Any, many: int) -> Any:
    """Put as many steps in its own place as it is told."""
    return self.replace(group(add.s(number, 1) for number in range(many)))


@step(bind=True)
def down_to(self: Any, many: int) -> Any:
    """Put a chain in its own place that ends in itself, until nothing is left."""
    return many if many == 0 else self.replace(chain(add.si(many, -1), down_to.s()))


@step(bind=True)
def strangely(self: Any) -> Any:
    return self.replace(42)


@workflow("grows")
def grows(many: int) -> Any:
    """A step that becomes many, and one that adds up what those give."""
    return fan_out.s(many) | sum_of_list.s()


@workflow("grows-beside")
def grows_beside(many: int) -> Any:
    """The same beside others in a group."""
    return group(give.s(100), fan_out.s(many), give.s(200)) | give.s()


@workflow("grows-last")
def grows_last(many: int) -> Any:
    """The same, and its value is the operation's."""
    return give.s(1) | fan_out.si(many)


@workflow("grows-down")
def grows_down(many: int) -> Any:
    """Replacements within replacements."""
    return down_to.s(many) | give.s()


@workflow("grows-strangely")
def grows_strangely() -> Any:
    """A step that puts something in its place that cannot be run."""
    return strangely.s() | give.s()


@step
def sum_of_list(numbers: list[int]) -> int:
    return sum(numbers)


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
