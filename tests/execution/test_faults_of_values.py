"""What a value makes fail inside the engine is the failure of its step, at once: no worker was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pausable.canvas.values import decode
from pausable.engine import runner
from pausable.engine import settle as settling_surely
from pausable.engine.settle import settle
from pausable.model.states import Completion, StepState
from tests.databases import both_when_long
from tests.execution.flows import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

database_kind = both_when_long()

POISON = '"poison"'


class Unstorable(Exception):
    """What the store says of a value that it cannot hold."""


def refuse(monkeypatch: pytest.MonkeyPatch, is_refused: Callable[[Any], bool]) -> None:
    """Let no end be recorded of which this is true."""

    def refusing(engine: Any, operation_id: int, ended: Any, **options: Any) -> Any:
        if any(is_refused(one.ending) for one in ended):
            raise Unstorable("there is no column for this")
        return settle(engine, operation_id, ended, **options)

    monkeypatch.setattr(settling_surely, "settle", refusing)


def test_a_step_whose_end_cannot_be_recorded_fails_once_with_that_fault(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = by_hand()
    refuse(monkeypatch, lambda ending: ending.result == POISON)

    operation = service.start("speaking-hostile", door="result of its own", text="poison", file=service.path())
    service.deliver_all()

    error = service.error(operation)
    assert (error["type"], error["message"]) == ("Unstorable", "there is no column for this")
    assert "settle" in error["traceback"]
    assert [(step.state, step.runs, step.losses) for step in service.steps(operation).values()] == [
        (StepState.FAILED, 1, 0)
    ]


def test_a_failure_that_cannot_be_recorded_is_recorded_in_the_fewest_words(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = by_hand()
    refuse(monkeypatch, lambda ending: ending.error and decode(ending.error)["traceback"])

    operation = service.start("speaking-hostile", door="error", text="no such thing", file=service.path())
    service.deliver_all()

    error = service.error(operation)
    assert error["type"] == "Unstorable"
    assert "could not be recorded" in error["message"]


def test_a_result_that_cannot_be_read_is_the_failure_of_the_step_that_is_handed_it(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=1)
    file = service.path()
    operation = service.start("counting-hostile", file=file)
    service.deliver()
    service.change("UPDATE steps SET result = '{' WHERE operation_id = ? AND number = 0", operation)

    service.deliver_all()

    error = service.error(operation)
    assert (error["step"], error["type"]) == ("shown", "JSONDecodeError")
    assert lines_of(file) == ["counted"]
    assert service.steps(operation)["shown"].losses == 0


@pytest.mark.parametrize("poisoned", range(4))
def test_of_steps_that_are_recorded_together_the_one_at_fault_fails_and_the_rest_counts(
    make_quick: ByHand, monkeypatch: pytest.MonkeyPatch, poisoned: int
) -> None:
    service = make_quick()
    for _ in range(3):
        service.start("adding", numbers=[0] * 5)
        service.deliver_all()
    refuse(monkeypatch, lambda ending: ending.state is StepState.SUCCESS and ending.result == str((poisoned + 1) * 10))

    operation = service.start("adding", numbers=[10] * 5)
    service.deliver_all()

    states = list(service.states(operation).values())
    assert service.completion(operation) is Completion.FAILED
    assert service.error(operation)["type"] == "Unstorable"
    failed = states.index(StepState.FAILED)
    assert set(states[:failed]) <= {StepState.SUCCESS}
    assert set(states[failed + 1 :]) <= {StepState.TRIGGER_FAILED}
    assert {step.losses for step in service.steps(operation).values()} == {0}


@pytest.mark.parametrize("asked", ["may_begin_operation", "claim_and_confirm"])
def test_what_keeps_a_step_from_beginning_is_its_failure(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    service = by_hand()

    def raising(*_: Any) -> Any:
        raise Unstorable("nobody can tell")

    monkeypatch.setattr(runner, asked, raising)
    operation = service.start("adding", numbers=[1])
    service.deliver_all()

    assert service.error(operation)["type"] == "Unstorable"
