"""State handlers of operations: asked of the beginning, by whoever claims the first step, and of the end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pausable.model.states import Completion, StepState
from tests.execution.flows import lines_of
from tests.execution.service import wait_for

if TYPE_CHECKING:
    from tests.execution.service import Service

if TYPE_CHECKING:
    Script = dict[str, str]

_C, _S = Completion, StepState
BEGINS = 'Scheduled() to Running("Running flow.")'
ENDS = 'Running("Running flow.") to Success("All reference tasks succeeded.")'


def told(file: str) -> list[str]:
    return [line.replace(" <Operation: watched>:", "") for line in lines_of(file)]


def test_handlers_are_asked_in_their_order_of_the_beginning_and_the_end(service: Service) -> None:
    file = service.path()

    operation = service.run("watched", file=file, script={})

    assert told(file) == [f"{n} {change}" for change in (BEGINS, ENDS) for n in (1, 2, 3)]
    assert operation.result == "1"
    assert service.moves(operation.id) == ["SCHEDULED", "IN PROGRESS", "COMPLETED"]


def test_an_operation_that_begins_with_a_group_asks_once(service: Service) -> None:
    files = [service.path() for _ in range(10)]

    operations = [service.start("watched", file=file, script={}, numbers=[1, 2, 3, 4]) for file in files]

    assert [service.ended(operation).result for operation in operations] == ["10"] * len(files)
    assert all(len(told(file)) == 6 for file in files)


@pytest.mark.parametrize("change", ["1 Running", "1 Success"])
@pytest.mark.parametrize(("answer", "why"), [("fail", "not good enough"), ("raise", "HandlerError: a handler broke")])
def test_the_event_of_an_operation_that_its_handler_failed_says_why(
    service: Service, change: str, answer: str, why: str
) -> None:
    operation = service.run("watched", file=service.path(), script={change: answer})

    events = service.commands.events(service.ada, operation.id)
    assert [(one.new, one.why) for one in events if one.step is None][-1] == ("FAILED", why)


@pytest.mark.parametrize("numbers", [[1], [1, 2, 3]])
@pytest.mark.parametrize(
    ("answer", "completion"),
    [
        ("fail", _C.FAILED),
        ("FAIL", _C.FAILED),
        ("raise", _C.FAILED),
        ("ENDRUN failed", _C.FAILED),
        ("cancel", _C.CANCELLED),
        ("succeed", _C.COMPLETED),
        ("ENDRUN", _C.COMPLETED),
    ],
)
def test_an_operation_whose_handler_ends_it_at_its_beginning_runs_no_step(
    service: Service, answer: str, completion: Completion, numbers: list[int]
) -> None:
    operation = service.run("watched", file=service.path(), script={"1 Running": answer}, numbers=numbers)

    assert operation.completion is completion
    assert set(service.states(operation.id).values()) == {_S.CANCELLED}
    assert operation.result == {"succeed": "50", "ENDRUN": "80"}.get(answer)


def test_an_exception_at_the_beginning_is_the_operations_error_with_its_traceback(service: Service) -> None:
    file = service.path()

    operation = service.run("watched", file=file, script={"2 Running": "raise"})

    error = service.error(operation.id)
    assert (error["type"], error["message"]) == ("HandlerError", "a handler broke")
    assert "in handler" in error["traceback"]
    assert len(told(file)) == 2


@pytest.mark.parametrize("numbers", [[1], [1, 2, 3]])
def test_an_operation_whose_handler_pauses_it_at_its_beginning_goes_on_when_resumed(
    service: Service, numbers: list[int]
) -> None:
    file = service.path()
    operation = service.start("watched", file=file, script={"1 Running": "pause"}, numbers=numbers)
    paused = service.wait_until(operation, _C.PAUSED)

    service.resume(operation)

    assert paused.reason == "have a look"
    assert service.ended(operation).result == str(sum(numbers))
    asked = [line for line in told(file) if "to Paused" not in line]  # of that they are told when it comes round
    assert asked[-3:] == [f"{n} {ENDS}" for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("answer", "completion", "result"),
    [
        ("fail", _C.FAILED, None),
        ("FAIL", _C.FAILED, None),
        ("raise", _C.FAILED, None),
        ("cancel", _C.CANCELLED, None),
        ("succeed", _C.COMPLETED, "50"),
        ("change", _C.COMPLETED, "70"),
        ("ENDRUN", _C.COMPLETED, "80"),
        ("none", _C.COMPLETED, "1"),
    ],
)
def test_an_operation_ends_as_its_handler_says(
    service: Service, answer: str, completion: Completion, result: str | None
) -> None:
    operation = service.run("watched", file=service.path(), script={"1 Success": answer})

    assert (operation.completion, operation.result) == (completion, result)
    assert set(service.states(operation.id).values()) == {_S.SUCCESS}


def test_a_failed_operation_may_be_kept_as_a_success(service: Service) -> None:
    file = service.path()

    operation = service.run("watched-failing", file=file, script={"3 Failed": "succeed"})

    assert (operation.completion, operation.result, operation.error) == (_C.COMPLETED, "50", None)
    told = 'Running("Running flow.") to Failed("Some reference tasks failed. act: ArithmeticError: no such number")'
    assert lines_of(file)[3].endswith(told)
    assert service.states(operation.id) == {"act": _S.FAILED}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("retry", 'handler_1 returned Retrying("once more"): it must return a finished state, or None.'),
        ("pause", 'handler_1 returned Paused("have a look"): it must return a finished state, or None.'),
        ("a word", "handler_1 returned 'Success': it must return a finished state, or None."),
        ("no json", "Success returned a value that JSON cannot hold"),
    ],
)
def test_an_answer_that_no_end_can_be_fails_the_operation_with_a_sentence(
    service: Service, answer: str, words: str
) -> None:
    operation = service.run("watched", file=service.path(), script={"1 Success": answer})

    assert words in service.error(operation.id)["message"]


def test_a_handler_that_hangs_at_the_beginning_holds_no_lock(service: Service) -> None:
    file, gate = service.path(), service.path()
    operation = service.start("watched", file=file, script={"1 Running": "hang"}, gate=gate, numbers=[1, 2, 3])
    wait_for(lambda: len(told(file)) == 1)

    assert service.run("adding", numbers=[1, 2]).result == "3"
    assert service.completion(operation) is _C.SCHEDULED
    Path(gate).touch()

    assert service.ended(operation).result == "6"
    assert len(told(file)) == 6


def test_a_cancel_while_a_handler_hangs_at_the_beginning_ends_the_operation(service: Service) -> None:
    file, gate = service.path(), service.path()
    operation = service.start("watched", file=file, script={"1 Running": "hang"}, gate=gate)
    wait_for(lambda: len(told(file)) == 1)

    service.cancel(operation)
    Path(gate).touch()

    assert service.ended(operation).completion is _C.CANCELLED
    assert service.states(operation)["same-2"] is _S.CANCELLED


def test_a_cancel_while_a_handler_hangs_at_the_end_does_not_undo_the_end(service: Service) -> None:
    file, gate = service.path(), service.path()
    operation = service.start("watched", file=file, script={"1 Success": "hang"}, gate=gate)
    wait_for(lambda: len(told(file)) == 4)

    service.cancel(operation)
    Path(gate).touch()

    assert service.ended(operation).completion is _C.COMPLETED
