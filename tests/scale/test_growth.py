"""The work of an act grows no faster than the operation: a hundred times the steps, a hundred times the work.

Nothing is timed: what is counted is the same on every machine.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from pausable.model.states import Completion
from pausable.service.explain import explain, preflight
from tests.databases import on_both, on_postgresql_alone
from tests.scale.measuring import Work, measured

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.execution.conftest import ByHand
    from tests.execution.service import Service

#: Steps of the operations whose work is counted; calls are counted of the first three, whose growth shows them.
SIZES = (100, 300, 900, 10_000)
#: How much more a further step may cost between two sizes than between the two before.
SLACK = 1.35
#: What an act may cost on top at the largest size: what it costs of itself is not always the same.
NOISE = {"calls": 2_000, "statements": 100, "rows": 1_000, "characters": 20_000}
#: What a further step may cost at any size: how many siblings a settle takes goes by how fast this machine ran the last
#: ones, so two sizes may differ by some. Work that grows with the square costs thousands for a further step here.
LEAST = {"calls": 50.0, "statements": 0.1, "rows": 5.0, "characters": 2_000.0}
#: The same for PostgreSQL, of which calls are not counted.
FEWER = (50, 200, 800)

_C = Completion


class Tally:
    """What each act took, on operations of one shape and size."""

    def __init__(self, service: Service, shape: str, size: int, gate: Path) -> None:
        self.work: dict[str, Work] = {}
        self._service = service
        self._shape = shape
        self._size = size
        self._gate = gate

    def take(self) -> dict[str, Work]:
        self._steer_one()
        self.hold()
        return self.work

    def _steer_one(self) -> None:
        service = self._service
        commands, ada = service.commands, service.ada
        one = self._do("start", self._start)
        self._do("list", lambda: commands.list(ada))
        self._do("steps", lambda: commands.steps(ada, one))
        self._do("graph", lambda: commands.graph(ada, one))
        self._do("explain", lambda: explain(commands, ada, one))
        self._do("pre-flight", lambda: preflight(commands, ada, one))
        self._do("pause", lambda: service.pause(one))
        assert service.completion(one) is _C.PAUSED
        self._do("export", lambda: commands.document(ada, one))
        self._do("resume", lambda: service.resume(one))
        self._do("fail", lambda: service.deliver_step(one, 0))
        assert service.completion(one) is _C.FAILED
        self._gate.touch()
        self._do("retry", lambda: service.retry(one))
        self._do("settle", lambda: service.deliver_step(one, 0))
        self._do("settle the next", lambda: service.deliver_step(one, 1))
        self._do("cancel", lambda: service.cancel(one))
        assert service.completion(one) is _C.CANCELLED
        service.queue.flushdb()

    def hold(self) -> Work:
        """Ask for a pause while the step runs for which the others wait."""
        self._gate.touch()
        one = self._start(pauses=True)
        self._do("hold", self._service.deliver)
        assert self._service.completion(one) is _C.PAUSED
        self._do("resume what is held", lambda: self._service.resume(one))
        self._service.cancel(one)
        self._service.queue.flushdb()
        return self.work["hold"]

    def _start(self, *, pauses: bool = False) -> int:
        return self._service.start(self._shape, size=self._size, gate=str(self._gate), pauses=pauses)

    def _do(self, name: str, act: Callable[[], Any]) -> Any:
        with measured(self._service.engine.database, has_calls=self._size < SIZES[-1]) as work:
            result = act()
        self.work[name] = work
        return result


def grown_too_much(taken: Sequence[tuple[int, dict[str, Work]]], what: str) -> list[str]:
    """The acts of which a further step costs more between the larger two of three sizes than between the smaller."""
    (few, first), (some, second), (many, third) = taken
    found = []
    for act in first:
        small = (getattr(second[act], what) - getattr(first[act], what)) / (some - few)
        large = (getattr(third[act], what) - getattr(second[act], what)) / (many - some)
        if large > max(max(small, 0) * SLACK + NOISE[what] / many, LEAST[what]):
            found.append(f"{act}: {small:.2f} {what} for a further step became {large:.2f}")
    return found


@pytest.mark.parametrize("shape", ["deep", "wide", "dense"])
def test_no_act_costs_more_of_each_step_the_more_steps_there_are(by_hand: ByHand, tmp_path: Path, shape: str) -> None:
    service = by_hand(flows=("tests.scale.flows",), slice_steps=1)
    Tally(service, shape, SIZES[0], tmp_path / "gate").take()  # what is compiled once is compiled by then

    taken = [(size, Tally(service, shape, size, tmp_path / f"gate-{size}").take()) for size in SIZES]

    assert grown_too_much(taken[:3], "calls") == []
    assert [fault for what in ("statements", "rows", "characters") for fault in grown_too_much(taken[1:], what)] == []


@on_postgresql_alone
@pytest.mark.parametrize("shape", ["deep", "wide", "dense"])
def test_the_same_holds_of_what_postgresql_is_asked(by_hand: ByHand, tmp_path: Path, shape: str) -> None:
    service = by_hand(flows=("tests.scale.flows",), slice_steps=1)
    Tally(service, shape, SIZES[0], tmp_path / "gate").take()

    taken = [(size, Tally(service, shape, size, tmp_path / f"gate-{size}").take()) for size in FEWER]

    assert [fault for what in ("statements", "rows", "characters") for fault in grown_too_much(taken, what)] == []


@on_both
def test_a_fan_that_unfolds_writes_no_more_of_each_step_the_more_there_are(by_hand: ByHand, tmp_path: Path) -> None:
    service = by_hand(flows=("tests.scale.flows",), slice_steps=1)
    gate = tmp_path / "gate"
    gate.touch()
    taken = []

    for size in (20, 50, 100):
        one = service.start("unfolding", size=size, gate=str(gate))
        service.deliver_step(one, 0)
        taken.append((size, _of_growing(service, one, size)))
        service.deliver_all()
        assert service.show(one).result == str(2 * size)

    for what in ("written", "characters"):
        small, large = (_of_a_further_step(*pair, what) for pair in pairwise(taken))
        assert large - small < 200, what


def _of_a_further_step(few: tuple[int, Work], many: tuple[int, Work], what: str) -> float:
    return float(getattr(many[1], what) - getattr(few[1], what)) / (many[0] - few[0])


def _of_growing(service: Service, operation: int, size: int) -> Work:
    with measured(service.engine.database, has_calls=False) as work:
        for number in range(1, size + 1):
            service.deliver_step(operation, number)
    return work


def test_a_wide_group_is_held_by_few_statements(by_hand: ByHand, tmp_path: Path) -> None:
    service = by_hand(flows=("tests.scale.flows",), slice_steps=1)

    work = Tally(service, "wide", 2_002, tmp_path / "gate").hold()

    assert work.statements < 100
