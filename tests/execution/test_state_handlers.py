"""State handlers of steps: asked in their order before a change is kept, and the state they return is the one kept."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pausable.canvas.values import decode
from pausable.clock import frozen_at
from pausable.model.states import Completion, StepState
from pausable.worker.sweeper import sweep
from tests.databases import both_when_long
from tests.execution.flows import lines_of
from tests.execution.service import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from pausable.db.operations import Operation
    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]
    Script = dict[str, str]

database_kind = both_when_long()

_S = StepState
BEGINS = 'Pending() to Running("Starting task run.")'
ENDS = 'Running("Starting task run.") to Success("Task run succeeded.")'
FAILS = 'Running("Starting task run.") to Failed("ArithmeticError: no such number")'


def handled(service: Service, script: Script, how: str = "return") -> tuple[Operation, list[str]]:
    """A step with handlers that answer by this script, once its operation has ended; and what they were told."""
    file = service.path()
    operation = service.run("handled", file=file, script=script, how=how)
    return operation, told(file)


def told(file: str) -> list[str]:
    return [line.replace(" <Step: act>:", "") for line in lines_of(file)]


def state_of_act(service: Service, operation: Operation) -> tuple[StepState, object]:
    step = service.steps(operation.id)["act"]
    return step.state, decode(step.result)


def test_handlers_are_asked_in_their_order_of_each_change(service: Service) -> None:
    operation, lines = handled(service, {})

    assert lines == [f"{n} {change}" for change in (BEGINS, ENDS) for n in (1, 2, 3)]
    assert operation.result == "2"


def test_each_handler_sees_what_the_one_before_it_returned(service: Service) -> None:
    _, lines = handled(service, {"1 Success": "fail", "2 Failed": "cache"})

    assert [line.partition(" to ")[2] for line in lines[3:]] == [
        'Success("Task run succeeded.")',
        'Failed("not good enough")',
        'Cached("seen before")',
    ]


def test_none_keeps_the_state_that_was_proposed(service: Service) -> None:
    operation, _ = handled(service, {"1 Running": "none", "1 Success": "none", "3 Success": "none"})

    assert state_of_act(service, operation) == (_S.SUCCESS, 2)


@pytest.mark.parametrize(
    ("how", "answer", "state", "result", "completion"),
    [
        ("return", "1 Success", "fail", _S.FAILED, None),
        ("fail", "1 Failed", "succeed", _S.SUCCESS, 50),
        ("FAIL", "1 Failed", "succeed", _S.SUCCESS, 50),
        ("return", "1 Success", "cache", _S.CACHED, 60),
        ("return", "1 Success", "skip", _S.SKIPPED, None),
        ("fail", "1 Failed", "skip", _S.SKIPPED, None),
        ("fail", "1 Failed", "cancel", _S.CANCELLED, None),
        ("return", "1 Success", "FAIL", _S.FAILED, {"cause": "rust"}),
        ("fail", "1 Failed", "SUCCESS", _S.SUCCESS, 90),
        ("fail", "1 Failed", "SKIP", _S.SKIPPED, None),
        ("return", "1 Success", "change", _S.SUCCESS, 70),
    ],
)
def test_the_state_that_a_handler_answers_is_the_one_kept(
    service: Service, how: str, answer: str, state: str, result: StepState, completion: object
) -> None:
    operation, _ = handled(service, {answer: state}, how)

    assert state_of_act(service, operation) == (result, completion)


@pytest.mark.parametrize(
    ("answer", "handed_on", "completion"),
    [
        ("cache", "60", Completion.COMPLETED),
        ("succeed", "50", Completion.COMPLETED),
        ("change", "70", Completion.COMPLETED),
        ("fail", None, Completion.FAILED),
        ("cancel", None, Completion.FAILED),
    ],
)
def test_the_steps_behind_go_on_with_what_was_kept(
    service: Service, answer: str, handed_on: str | None, completion: Completion
) -> None:
    operation, _ = handled(service, {"1 Success": answer})

    assert (operation.result, operation.completion) == (handed_on, completion)


def test_a_failure_that_a_handler_turns_into_a_retry_runs_the_step_again(service: Service) -> None:
    file = service.path()
    operation = service.start("handled", file=file, script={"1 Failed": "retry"}, how="fail")
    wait_for(lambda: len(lines_of(file)) >= 9)

    service.cancel(operation)

    assert told(file)[3:5] == [f"1 {FAILS}", '2 Running("Starting task run.") to Retrying("once more")']
    assert told(file)[6].startswith("1 Retrying() to Running")
    assert service.ended(operation).completion is Completion.CANCELLED
    assert service.steps(operation)["act"].runs >= 2


def test_a_retry_that_a_handler_wants_later_waits_for_its_time(by_hand: ByHand) -> None:
    service = by_hand()
    file = service.path()
    operation = service.start("handled", file=file, script={"3 Failed": "retry later"}, how="fail")
    service.deliver_all()

    assert service.states(operation)["act"] is _S.RETRYING
    sweep(service.engine)
    assert service.messages() == 0
    with frozen_at(time.time() + 3601):
        sweep(service.engine)
        assert service.messages() == 1


@pytest.mark.parametrize("change", ["Running", "Success"])
@pytest.mark.parametrize(("how", "error"), [("raise", "HandlerError"), ("exit", "SystemExit")])
def test_an_exception_in_a_handler_fails_the_step_with_its_traceback_and_asks_nobody_again(
    service: Service, change: str, how: str, error: str
) -> None:
    operation, lines = handled(service, {f"2 {change}": how})

    found = service.error(operation.id)
    assert (found["step"], found["type"]) == ("act", error)
    assert "in handler" in found["traceback"]
    assert len(lines) == (2 if change == "Running" else 5)


def test_code_is_not_run_where_a_handler_fails_at_its_beginning(service: Service) -> None:
    operation, lines = handled(service, {"1 Running": "fail"})

    assert lines == [
        f"1 {BEGINS}",
        '2 Pending() to Failed("not good enough")',
        '3 Pending() to Failed("not good enough")',
    ]
    assert service.error(operation.id)["message"] == "not good enough"


def test_a_handler_that_answers_a_success_at_the_beginning_spares_the_code(service: Service) -> None:
    operation, _ = handled(service, {"1 Running": "cache"}, how="fail")

    assert state_of_act(service, operation) == (_S.CACHED, 60)
    assert operation.result == "60"


def test_running_in_other_words_lets_the_code_run_and_is_told_as_the_state_before(service: Service) -> None:
    operation, lines = handled(service, {"1 Running": "run"})

    assert operation.result == "2"
    assert lines[1] == '2 Pending() to Running("going on")'
    assert lines[3] == '1 Running("going on") to Success("Task run succeeded.")'


@pytest.mark.parametrize(("change", "calls"), [("Running", 2), ("Success", 5)])
def test_endrun_leaves_out_the_handlers_after_it(service: Service, change: str, calls: int) -> None:
    operation, lines = handled(service, {f"2 {change}": "ENDRUN"})

    assert state_of_act(service, operation) == (_S.SUCCESS, 80)
    assert len(lines) == calls


def test_another_signal_sets_its_state_and_the_handlers_after_it_are_told(service: Service) -> None:
    _, lines = handled(service, {"1 Success": "FAIL"})

    assert lines[4] == '2 Running("Starting task run.") to Failed("a signal")'


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ({"1 Success": "a word"}, "handler_1 returned 'Success': it must return Retrying, Paused or a finished state"),
        ({"2 Success": "a class"}, "handler_2 returned <class 'pausable.model.states.Success'>: it must return"),
        ({"1 Success": "run"}, 'handler_1 returned Running("going on"): it must return Retrying, Paused or a finished'),
        ({"1 Running": "wait"}, "handler_1 returned Pending(): it must return Running, Retrying, Paused or a finished"),
        ({"1 Success": "no json"}, "act returned a value that JSON cannot hold"),
    ],
)
def test_an_answer_that_cannot_be_kept_fails_the_step_with_a_sentence(
    service: Service, script: Script, words: str
) -> None:
    operation, _ = handled(service, script)

    assert words in service.error(operation.id)["message"]


@pytest.mark.parametrize("change", ["Running", "Success"])
def test_a_pause_that_a_handler_answers_pauses_the_operation_and_asks_again_on_resume(
    service: Service, change: str
) -> None:
    file = service.path()
    operation = service.start("handled", file=file, script={f"1 {change}": "pause"})
    paused = service.wait_until(operation, Completion.PAUSED)
    lines = len(lines_of(file))

    service.resume(operation)

    wait_for(lambda: len(lines_of(file)) >= 2 * lines)
    assert paused.reason == "have a look"
    assert service.wait_until(operation, Completion.PAUSED).reason == "have a look"
    assert told(file)[lines] == f"1 {BEGINS}"


def test_the_handlers_of_a_step_that_its_trigger_does_not_let_run_are_asked_of_that(service: Service) -> None:
    file = service.path()

    operation = service.run("handled-rescue", file=file, script={"2 TriggerFailed": "succeed"})

    assert lines_of(file)[0].startswith('1 <Step: rescue>: Pending() to TriggerFailed("Trigger was "all_failed"')
    assert [line[0] for line in lines_of(file)] == ["1", "2", "3"]
    assert operation.result == "50"


def test_a_handler_that_hangs_holds_no_lock(service: Service) -> None:
    file, gate = service.path(), service.path()
    operation = service.start("handled", file=file, script={"1 Success": "hang"}, gate=gate)
    wait_for(lambda: len(lines_of(file)) == 4)

    assert service.run("adding", numbers=[1, 2]).result == "3"
    assert service.pause(operation) is True
    assert service.completion(operation) is Completion.REQUESTING_PAUSE
    Path(gate).touch()

    service.wait_until(operation, Completion.PAUSED)
    service.resume(operation)
    assert service.ended(operation).result == "2"


def test_steps_without_handlers_write_no_more_than_they_did(by_hand: ByHand) -> None:
    service = by_hand()
    assert service.engine.policies.has_handlers

    operation = service.start("adding", numbers=[1])
    service.deliver_all()

    scheduled, claimed, settled = 0, 1, 1
    assert service.show(operation).version == 1 + scheduled + claimed + settled
