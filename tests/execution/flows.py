"""Workflows for the tests of the engine: their steps leave marks in files, wait at gates, and fail when asked to."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from celery import Task, chain, chord, group, signature

from pausable import Canvas, step, workflow
from pausable.engine.celery_app import this_engine
from pausable.service.operations import Wish, pause
from tests.canvases import random_canvas

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery.canvas import Signature


def write_line(file: str, line: str) -> None:
    with Path(file).open("a") as ledger:
        ledger.write(f"{line}\n")


def lines_of(file: str) -> list[str]:
    return Path(file).read_text().splitlines() if Path(file).exists() else []


@step
def tell(value: Any, name: str, ledger: str, operation_id: int, stop: str = "") -> str:
    """Leave a mark, ask for a pause when it is this step's turn to, and tell what was handed over."""
    write_line(ledger, name)
    if name == stop:
        pause(this_engine(), Wish(operation_id, "a step"))
    return f"{name}({','.join(value) if isinstance(value, list) else value})"


@step
def add(x: int, y: int) -> int:
    return x + y


@step
def total(numbers: list[int]) -> int:
    return sum(numbers)


@step
def same(value: Any = None) -> Any:
    return value


@step
def wait_at(value: Any, gate: str) -> Any:
    """Wait until the gate, a file, is there."""
    until = time.monotonic() + 20
    while not Path(gate).exists():
        assert time.monotonic() < until, f"nobody opened {gate}"
        time.sleep(0.001)
    return value


@step
def fail(_value: Any = None, message: str = "no such number") -> None:
    raise ArithmeticError(message)


def canvas_of(seed: int) -> Signature[Any]:
    """A random canvas that has a step at least."""
    rng = Random(seed)
    while "canvases." not in json.dumps(canvas := random_canvas(rng)):
        pass
    return canvas


@workflow("random")
def a_random_one(seed: int) -> Canvas:
    """A random canvas."""
    return canvas_of(seed)


#: The steps of each shape, and the shape made of them: `do` gives a call, `begin` one that nothing is handed to.
SHAPES: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "chain": ("abcd", lambda begin, do: begin("a") | do("b") | do("c") | do("d")),
    "group": ("abcd", lambda begin, do: begin("a") | group(do("b"), do("c"), do("d"))),
    "group first": ("abc", lambda begin, do: group(begin("a"), begin("b")) | do("c")),
    "chord": ("abcde", lambda begin, do: chord([begin("a"), begin("b"), begin("c")], do("d") | do("e"))),
    "nested": (
        "abcdefg",
        lambda begin, do: begin("a") | group(do("b") | group(do("c"), do("d")) | do("e"), do("f")) | do("g"),
    ),
    "groups": ("abcde", lambda begin, do: group(begin("a"), begin("b")) | group(do("c"), do("d")) | do("e")),
}


@workflow("shape")
def a_shape(operation_id: int, shape: str, ledger: str, stop: str = "") -> Canvas:
    """One of the shapes, made of `tell`."""
    given = {"ledger": ledger, "operation_id": operation_id, "stop": stop}
    canvas: Canvas = SHAPES[shape][1](
        lambda name: tell.s("-", name=name, **given), lambda name: tell.s(name=name, **given)
    )
    return canvas


@workflow("adding")
def adding(numbers: list[int]) -> Canvas:
    """Add numbers one after the other."""
    first, *rest = numbers
    return chain(same.s(first), *(add.s(number) for number in rest))


@workflow("gates")
def gates(gates: list[str]) -> Canvas:
    """One step after the other, each waiting at its gate."""
    first, *rest = gates
    return chain(wait_at.s(1, first), *(wait_at.s(gate) for gate in rest))


@workflow("every-second", pause_every=2)
def every_second(operation_id: int, ledger: str, stop: str = "") -> Canvas:
    """Six steps with a pause point after every second."""
    given = {"ledger": ledger, "operation_id": operation_id, "stop": stop}
    return chain(tell.s("-", name="a", **given), *(tell.s(name=name, **given) for name in "bcdef"))


@workflow("every-third", pause_every=3)
def every_third(operation_id: int, ledger: str, stop: str = "") -> Canvas:
    """Six steps with a pause point after every third."""
    given = {"ledger": ledger, "operation_id": operation_id, "stop": stop}
    return chain(tell.s("-", name="a", **given), *(tell.s(name=name, **given) for name in "bcdef"))


@workflow("fan")
def fan(width: int) -> Canvas:
    """One step, as many as that beside each other, and one that adds them up."""
    return same.s(0) | group(add.s(number) for number in range(width)) | total.s()


@step(bind=True)
def request_of(self: Task[Any, Any], _value: Any = None) -> list[Any]:
    """What the step knows of itself."""
    request: Any = self.request
    return [request.id, request.retries, request.delivery_info, request.task, request.root_id, request.called_directly]


@workflow("asking")
def asking() -> Canvas:
    """Steps that tell what they know of themselves."""
    return request_of.s() | group(request_of.s(), request_of.s())


@step
def pair(value: Any) -> tuple[Any, ...]:
    return value, (1, 2)


@step
def keyed(value: Any) -> tuple[Any, ...]:
    return value, {1: None}


@workflow("tuples")
def tuples() -> Canvas:
    """Steps that return what JSON has no word for."""
    return same.s("a") | pair.s() | keyed.s()


@workflow("held-beside")
def held_beside(operation_id: int, ledger: str, gate: str) -> Canvas:
    """Two branches, one that waits at a gate, and one that asks for a pause before its second step."""
    given = {"ledger": ledger, "operation_id": operation_id, "stop": "a"}
    pausing = chain(tell.s(name="a", **given), tell.s(name="b", **given))
    return same.s("-") | group(wait_at.s(gate), pausing) | same.s()


@step
def write_down(value: Any, file: str) -> None:
    write_line(file, json.dumps(value))


@workflow("telling")
def telling(operation_id: int, ledger: str) -> Canvas:
    """A step that asks for a pause, one more, and one that writes down what it is given."""
    given = {"ledger": ledger, "operation_id": operation_id, "stop": "a"}
    return tell.s("-", name="a", **given) | tell.s(name="b", **given) | write_down.s(f"{ledger}.told")


@step
def usurp(value: Any) -> Any:
    """Raise the claim of whatever runs in the table, as somebody does who takes this worker for dead."""
    with this_engine().database.write() as tx:
        driver: Any = tx.connection.driver_connection
        driver.execute("UPDATE steps SET claim = claim + 1 WHERE state = 'Running'")
    return value


@workflow("usurped")
def usurped() -> Canvas:
    """Two steps, one that loses the claim on what runs, and one more."""
    return same.s(1) | add.s(1) | usurp.s() | add.s(1)


@workflow("wide-gate")
def wide_gate(gates: list[str]) -> Canvas:
    """A step, and steps beside each other that wait at a gate each."""
    return same.s(1) | group(wait_at.s(gate) for gate in gates) | total.s()


@step(rate_limit="10/m")
def limited(value: Any) -> Any:
    return value


#: Canvases that no operation can run, each with what names the fault.
UNFIT: dict[str, tuple[Callable[[], Any], str]] = {
    "nothing in it": (lambda: group(), "no step"),
    "a task nobody has": (lambda: same.s(1) | signature("nobody.knows"), "nobody.knows"),
    "an expiry": (lambda: same.s(1) | same.s().set(expires=60), "step same-2.*expires"),
    "a rate limit": (lambda: same.s(1) | limited.s(), "limited has rate_limit='10/m'"),
    "an argument that JSON cannot hold": (lambda: same.s(object()), "step same: args.0. is an object"),
}


@workflow("unfit")
def unfit(kind: str) -> Canvas:
    """A canvas that no operation can run."""
    canvas: Canvas = UNFIT[kind][0]()
    return canvas


@workflow("later")
def later() -> Canvas:
    """A first step that waits for a minute."""
    return same.s(1).set(countdown=60) | add.s(1)


@step
def kinds_of(values: list[Any]) -> list[str]:
    return [type(value).__name__ for value in values]


@step
def kinds() -> list[Any]:
    return [datetime.now(UTC), Decimal("1.5"), uuid4(), 1e300, "NaN Infinity"]


@workflow("kinds")
def all_kinds() -> Canvas:
    """Values of every kind that Celery's JSON knows."""
    return kinds.s() | kinds_of.s()
