"""How steps end, and what becomes of the operation then."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pausable.model.states import Completion, StepState

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]


def test_a_failing_step_fails_the_operation_with_its_error_and_traceback(service: Service) -> None:
    operation = service.start("failing", message="there is no 7")

    error = service.error(operation)

    assert (error["step"], error["type"], error["message"]) == ("fail", "ArithmeticError", "there is no 7")
    assert "raise ArithmeticError(message)" in error["traceback"]
    assert service.show(operation).result is None


def test_what_lies_behind_a_failed_step_is_never_run(service: Service) -> None:
    operation = service.start("failing")

    service.ended(operation)

    failed, never = StepState.FAILED, StepState.TRIGGER_FAILED
    expected = {"same-1": StepState.SUCCESS, "fail": failed, "same-2": never, "same-3": never}
    assert service.states(operation) == expected


def test_an_operation_fails_only_when_what_runs_beside_the_failed_step_has_ended(service: Service) -> None:
    gate = service.path()
    operation = service.start("failing-beside", gate=gate)
    service.wait_for_step(operation, "fail", StepState.FAILED)
    service.wait_for_step(operation, "wait_at", StepState.RUNNING)
    assert service.completion(operation) is Completion.IN_PROGRESS

    Path(gate).touch()

    assert service.error(operation)["step"] == "fail"
    assert service.states(operation)["add"] is StepState.SUCCESS
    assert service.states(operation)["total"] is StepState.TRIGGER_FAILED


def test_the_history_tells_which_step_failed_and_why(service: Service) -> None:
    operation = service.start("failing", message="there is no 7")

    service.ended(operation)

    events = service.commands.events(service.ada, operation)
    assert [(event.old, event.new, event.why) for event in events if event.step == "fail"] == [
        ("Running", "Failed", "ArithmeticError: there is no 7")
    ]
    assert service.moves(operation) == ["SCHEDULED", "IN PROGRESS", "FAILED"]


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("rejected", "not here"),
        (
            "object",
            "not_for_json returned a value that JSON cannot hold: Object of type object is not JSON serializable.",
        ),
        ("not a number", "returned a value that JSON cannot hold: nan is not a number, at [0]."),
        ("loop", "returned a value that JSON cannot hold: Circular reference detected, at [0]."),
        ("keys", "returned a value that JSON cannot hold: keys must be str, int, float, bool or None"),
        ("retried with an object", "what it is to be retried with is refused (Object of type object is not JSON"),
        ("retried by hand", "ended RETRY without a result: an operation cannot go on from there."),
    ],
)
def test_a_step_that_nothing_can_follow_fails_with_a_sentence(service: Service, kind: str, sentence: str) -> None:
    operation = service.start("dead-end", kind=kind)

    assert sentence in service.error(operation)["message"]
    assert list(service.states(operation).values())[2] is StepState.TRIGGER_FAILED


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("exit", "SystemExit"),
        ("abandon", "CancelledError"),
        ("rejected late", "Reject"),
        ("wordless", "WordlessError"),
    ],
)
def test_a_step_fails_whatever_it_raises(service: Service, kind: str, error: str) -> None:
    operation = service.start("dead-end", kind=kind)

    assert service.error(operation)["type"] == error
    assert service.run("adding", numbers=[1]).result == "1"


def test_results_are_handed_on_as_json_gives_them_back(service: Service) -> None:
    operation = service.run("tuples")

    assert operation.result == '[["a",[1,2]],{"1":null}]'


def test_what_celery_can_send_as_json_is_handed_on_as_it_was(service: Service) -> None:
    operation = service.run("kinds")

    assert operation.result == '["datetime","Decimal","UUID","float","str"]'


def test_a_task_that_the_worker_does_not_have_fails_by_its_name(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("adding", numbers=[1, 2])
    service.change("UPDATE steps SET signature = replace(signature, '.add', '.sub') WHERE number = 1")

    service.deliver_all()

    assert service.error(operation)["message"].startswith("This worker has no task tests.execution.flows.sub:")


def test_a_pause_that_races_with_the_last_step_ends_completed(service: Service) -> None:
    gate = service.path()
    operation = service.start("gates", gates=[gate])
    service.wait_for_step(operation, "wait_at", StepState.RUNNING)
    service.pause(operation)

    Path(gate).touch()

    assert service.ended(operation).completion is Completion.COMPLETED
    assert service.moves(operation) == ["SCHEDULED", "IN PROGRESS", "REQUESTING PAUSE", "COMPLETED"]


def test_the_last_success_under_a_cancel_is_completed(service: Service) -> None:
    gate = service.path()
    operation = service.start("gates", gates=[gate])
    service.wait_for_step(operation, "wait_at", StepState.RUNNING)
    service.cancel(operation)

    Path(gate).touch()

    assert service.ended(operation).completion is Completion.COMPLETED
