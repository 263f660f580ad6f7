"""Values reach steps as they were, by whichever way: given at the start, handed on, retried with, kept as a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pausable.canvas.values import decode
from pausable.engine.dispatch import publish_due
from pausable.model.states import Completion
from tests.databases import both_when_long
from tests.execution.hostile_flows import VALUES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]


database_kind = both_when_long()


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_given_and_handed_on_as_it_was(by_hand: ByHand, name: str) -> None:
    service = by_hand(slice_steps=1)

    operation = service.start("passing-hostile", name=name, file=service.path())
    service.deliver_all()

    assert decode(service.show(operation).result) == repr(VALUES[name])


@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_through_a_pause(by_hand: ByHand, name: str) -> None:
    service = by_hand(slice_steps=1)
    operation = service.start("passing-hostile", name=name, file=service.path())
    service.deliver()

    service.pause(operation)
    assert service.completion(operation) is Completion.PAUSED
    service.resume(operation)
    service.deliver_all()

    assert decode(service.show(operation).result) == repr(VALUES[name])


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_put_among_the_arguments_of_a_flow_as_it_was(by_hand: ByHand, name: str) -> None:
    service = by_hand()

    operation = service.start("naming-hostile", name=name, file=service.path())
    service.deliver_all()

    assert decode(service.show(operation).result) == repr([VALUES[name], VALUES[name]])


@pytest.mark.parametrize("workflow", ["retrying-hostile", "placing-hostile"])
@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_there_as_it_was_when_the_step_runs_again(by_hand: ByHand, name: str, workflow: str) -> None:
    service = by_hand()

    operation = service.start(workflow, name=name)
    service.deliver_all()

    publish_due(service.engine)
    service.deliver_all()

    assert decode(service.show(operation).result) == repr(VALUES[name])


def test_what_a_workflow_is_given_may_be_given_to_its_steps(by_hand: ByHand) -> None:
    service = by_hand()

    operation = service.start("monthly-hostile", month="2026-01-31", model={"first": "2026-01-01"}, file=service.path())
    service.deliver_all()

    assert decode(service.show(operation).result) == [
        "datetime.date(2026, 1, 31)",
        "{'first': datetime.date(2026, 1, 1), 'label': 'month'}",
    ]
