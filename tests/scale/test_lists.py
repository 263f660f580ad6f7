"""Lists read what they show: no arguments, results and errors of operations, and no values of steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pausable.db.views import Search
from pausable.service.explain import explain, preflight
from pausable.service.pages import operations_of, portrait
from tests.databases import on_both
from tests.scale.measuring import measured

if TYPE_CHECKING:
    from collections.abc import Callable

    from pausable.model.explanation import Finding
    from tests.execution.conftest import ByHand
    from tests.execution.service import Service

if TYPE_CHECKING:
    Look = Callable[[Service, int], object]

_LARGE = f'"{"x" * 1_000_000}"'

_LISTS: dict[str, Look] = {
    "the API and the terminal": lambda service, _: service.commands.list(service.ada),
    "the console": lambda service, _: operations_of(service.commands, service.ada, Search(None), 50),
}
_STEPS: dict[str, Look] = {
    "the terminal": lambda service, one: service.commands.steps(service.ada, one, has_results=False),
    "the picture": lambda service, one: service.commands.graph(service.ada, one),
}


@on_both
@pytest.mark.parametrize("name", _LISTS)
def test_a_list_of_operations_reads_none_of_their_values(by_hand: ByHand, name: str) -> None:
    service = by_hand()
    for _ in range(3):
        service.start("adding", numbers=[1, 2])
    service.change("UPDATE operations SET arguments = ?, result = ?, error = ?", _LARGE, _LARGE, _LARGE)

    with measured(service.engine.database) as work:
        _LISTS[name](service, 0)

    assert work.characters < 2_000


@on_both
@pytest.mark.parametrize("name", _STEPS)
def test_a_list_of_steps_reads_none_of_their_values(by_hand: ByHand, name: str) -> None:
    service = by_hand()
    operation = service.start("adding", numbers=[1, 2, 3])
    service.change(
        """UPDATE steps SET result = ?, signature = '{"task":"same","args":[' || ? || ']}'""", _LARGE, _LARGE
    )
    service.change("UPDATE operations SET arguments = '{}'")

    with measured(service.engine.database) as work:
        _STEPS[name](service, operation)

    assert work.characters < 5_000


@on_both
def test_the_page_of_an_operation_reads_no_value_of_its_steps(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("adding", numbers=[1, 2, 3])
    service.pause(operation)
    service.change(
        """UPDATE steps SET result = ?, signature = '{"task":"same","args":[' || ? || ']}'""", _LARGE, _LARGE
    )

    with measured(service.engine.database) as work:
        found = portrait(service.commands, service.ada, operation)

    assert [step.task for step in found.steps] == ["same"] * 3
    assert work.characters < 10_000


@on_both
def test_why_an_operation_waits_and_what_it_still_calls_are_found_without_reading_arguments(by_hand: ByHand) -> None:
    service = by_hand(flows=("tests.scale.flows",))
    operation = service.start("heavy", size=3, characters=100_000)
    service.change("UPDATE operations SET arguments = '{}'")

    with measured(service.engine.database) as work:
        explained = explain(service.commands, service.ada, operation)
        _, findings = preflight(service.commands, service.ada, operation)
        portrait(service.commands, service.ada, operation)

    assert "No worker is alive" in explained.summary
    assert [(one.kind, one.steps) for one in findings] == [("no_worker", 3)]
    assert work.characters < 20_000


def findings_of(service: Service, operation: int) -> list[Finding]:
    return preflight(service.commands, service.ada, operation)[1]


def test_a_call_that_no_longer_fits_is_found_by_its_outline(by_hand: ByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    service = by_hand(flows=("tests.scale.flows",))
    operation = service.start("heavy", size=3, characters=100_000)
    service.pause(operation)

    monkeypatch.setattr(service.engine.app.tasks["tests.scale.flows.weigh"], "run", lambda: None)
    codes = {one.kind for one in findings_of(service, operation)}
    monkeypatch.delitem(service.engine.app.tasks, "tests.scale.flows.weigh")
    gone = {one.kind for one in findings_of(service, operation)}

    assert "call_misfits" in codes
    assert "task_gone" in gone


def test_the_outline_follows_the_arguments_that_a_retry_asks_for(by_hand: ByHand) -> None:
    service = by_hand(flows=("tests.scale.flows",))
    operation = service.start("swelling")
    query = "SELECT outline FROM steps WHERE operation_id = ?"
    assert service.read(query, operation) == [(None,)]

    service.deliver_step(operation, 0)

    assert '"args":[null,null]' in service.read(query, operation)[0][0]


def test_a_task_that_does_not_stand_first_in_its_signature_is_found(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("adding", numbers=[1, 2])
    service.change("""UPDATE steps SET signature = '{"args": ["' || ? || '"], "task": "a.\\"b\\""}'""", "x" * 600)

    steps = service.commands.steps(service.ada, operation)

    assert [step.task for step in steps] == ['a."b"'] * 2
