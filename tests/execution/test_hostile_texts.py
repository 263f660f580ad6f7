"""Texts that a database or an encoding cannot hold come through every door of the engine, on both databases alike."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from app.web.answers import Event, Operation, OperationStatus, Step
from pausable.canvas.values import decode
from pausable.engine.dispatch import publish_due
from pausable.model.states import Completion, StepState
from pausable.service.explain import explain
from pausable.service.preflight import preflight
from pausable.texts import MESSAGE, REASON, TRACEBACK
from tests.execution.flows import lines_of
from tests.execution.hostile_flows import ONCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

TEXTS = {
    "half a surrogate": "name-\udcff-\ud83d",
    "nul": "a\0b",
    "control characters": "\x1b[31mred\x07\r\n\t\x7f\u2028\u202e",
    "json": '{"__type__": "bytes", "__value__": "\\u0000"}',
    "empty": "",
    "astral": "\U0001f600",
}
DOORS = ("result", "text", "error", "type of error", "signal", "success", "skip", "place", *ONCE)


def run_out(service: Service, operation: int) -> None:
    service.deliver_all()
    publish_due(service.engine)
    service.deliver_all()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_step_may_say_any_text_at_any_door_and_runs_once(by_hand: ByHand, text: str, door: str) -> None:
    service = by_hand()
    file = service.path()

    operation = service.start("speaking-hostile", door=door, text="" if "\udcff" in text else text, file=file)
    if "\udcff" in text:
        change_argument(service, operation, text)
    run_out(service, operation)
    if door == "pause":
        assert service.completion(operation) is Completion.PAUSED
        assert service.document(operation)["steps"]
        service.resume(operation)
        run_out(service, operation)

    step = service.steps(operation)["speaks"]
    is_bad = door in ("error", "type of error", "signal")
    assert service.completion(operation) is (Completion.FAILED if is_bad else Completion.COMPLETED)
    assert step.losses == 0
    assert len(lines_of(file)) == (2 if door in ONCE else 1)
    if door in ("text", "place", "success", *ONCE):
        assert decode(service.show(operation).result) == text
    show_all(service, operation)


def change_argument(service: Service, operation: int, text: str) -> None:
    """Give the step a text that no request can hold: a step before it might have."""
    (signature,) = service.read("SELECT signature FROM steps WHERE operation_id = ?", operation)[0]
    call = json.loads(signature)
    call["args"][1] = text
    service.change("UPDATE steps SET signature = ? WHERE operation_id = ?", json.dumps(call), operation)


def show_all(service: Service, operation: int) -> None:
    """Show all that there is of the operation, as JSON that every reader takes."""
    view = service.commands.show(service.ada, operation)
    shown = [Operation.from_view(view, "").written(), OperationStatus.from_view(view).written()]
    shown += [Step.from_row(step, "").written() for step in service.commands.steps(service.ada, operation)]
    shown += [Event.build(event).written() for event in service.commands.events(service.ada, operation)]
    for one in shown:
        assert json.loads(one.encode())
    assert service.log(operation, "speaks") is not None


@pytest.mark.parametrize("text", [TEXTS["nul"], TEXTS["control characters"], TEXTS["json"]], ids=repr)
def test_an_operation_with_any_text_among_its_arguments_is_explained_paused_and_resumed(
    by_hand: ByHand, text: str
) -> None:
    service = by_hand()
    operation = service.start("speaking-hostile", door="text", text=text, file=service.path())

    service.pause(operation, reason=text)
    assert service.completion(operation) is Completion.PAUSED
    assert not any(finding.blocks for finding in preflight(service.engine, operation))
    assert explain(service.commands, service.ada, operation).summary
    service.resume(operation)
    service.deliver_all()

    assert decode(service.show(operation).result) == text


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_people_may_give_any_text_as_a_reason_and_ask_for_steps_of_any_name(by_hand: ByHand, text: str) -> None:
    service = by_hand()
    operation = service.start("speaking-hostile", door="text", text="", file=service.path())

    service.pause(operation, reason=text)
    reason = service.show(operation).reason

    assert not reason or ("\0" not in reason and reason.encode())
    with pytest.raises(Exception, match="has no step"):
        service.log(operation, f"{text}.")


def test_texts_of_authors_are_cut_and_say_so_and_the_step_s_log_has_more(by_hand: ByHand) -> None:
    service = by_hand()
    text = "x" * 2_000_000

    operations = [
        service.start("speaking-hostile", door=door, text=text, file=service.path())
        for door in ("error", "signal", "skip", "retry", "pause")
    ]
    service.deliver_all()

    for operation in operations:
        step, view = service.steps(operation)["speaks"], service.show(operation)
        told = [step.message, step.error, view.reason, view.error]
        told += [event.why for event in service.commands.events(service.ada, operation)]
        said = "".join(filter(None, told))
        assert len(said) < 4 * (MESSAGE + TRACEBACK)
        assert " cut: 2,000,000 characters in all" in said
        assert len(view.reason or "") < REASON + 100
        assert "xxx" in service.log(operation, "speaks")
    assert {service.states(operation)["speaks"] for operation in operations} == {
        StepState.FAILED, StepState.SKIPPED, StepState.RETRYING, StepState.PAUSED,
    }  # fmt: skip
