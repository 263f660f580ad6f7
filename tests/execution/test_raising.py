"""What an author's function raises is never more than the failure of what it was asked for, whatever it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pausable.documents.model import encode
from pausable.documents.signing import Keys
from pausable.engine.local import Budget
from pausable.model.states import Completion, StepState
from pausable.service.preflight import preflight
from pausable.service.transfer import advance, known_of
from tests.databases import on_sqlite_alone
from tests.execution.raising_flows import RAISED

if TYPE_CHECKING:
    from tests.execution.moving import ByHand
    from tests.execution.service import Service

pytestmark = [on_sqlite_alone, pytest.mark.parametrize("what", RAISED)]
FLOWS = ("tests.execution.raising_flows",)


@pytest.fixture
def service(by_hand: ByHand) -> Service:
    return by_hand(flows=FLOWS, slice_steps=1)


def paused(service: Service, what: str) -> int:
    """An operation that was paused before its workflow's function began to raise."""
    file = service.path()
    operation = service.start("raises-later", file=file)
    service.deliver()
    service.pause(operation)
    Path(file).write_text(what)
    service.engine.policies.learn(known_of(service.commands.workflows).policies)
    return operation


def test_a_workflow_that_raises_is_no_error_of_the_preflight(service: Service, what: str) -> None:
    operation = paused(service, what)

    assert preflight(service.engine, operation) is not None


def test_a_workflow_that_raises_is_no_error_of_advance(service: Service, what: str) -> None:
    document = encode(service.document(paused(service, what)))

    after = advance(document, Budget(steps=1), service.commands.workflows, Keys())

    assert [step["state"]["type"] for step in after["steps"]][:2] == ["Success", "Success"]


def test_a_value_that_raises_as_it_is_encoded_fails_its_step_once(service: Service, what: str) -> None:
    operation = service.start("raises-in-json", what=what)

    service.deliver_all()

    (step,) = service.steps(operation).values()
    assert (step.state, step.losses) == (StepState.FAILED, 0)
    assert service.completion(operation) is Completion.FAILED


def test_a_trigger_that_raises_is_the_end_of_its_step(service: Service, what: str) -> None:
    operation = service.start("raises-in-trigger", what=what)

    service.deliver_all()

    step = service.steps(operation)["triggered"]
    assert step.losses == 0
    assert step.state is (StepState.FAILED if what == "a signal" else StepState.TRIGGER_FAILED)
