"""Code that leaves in unusual ways: stops and signals pass whatever catches exceptions; exits and forks end a step."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pausable.documents.signing import Keys
from pausable.engine.local import Budget
from pausable.model.states import Completion, StepState
from pausable.service.transfer import advance
from pausable.worker.sweeper import sweep
from tests.databases import both_when_long
from tests.execution.control_flows import FORKING_ELSEWHERE
from tests.execution.flows import lines_of
from tests.execution.service import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

database_kind = both_when_long()

KINDS_OF_TASK = ("plain", "base class", "autoretry")


@pytest.mark.parametrize("kind", KINDS_OF_TASK)
@pytest.mark.parametrize("how", ["pause", "cancel"])
def test_a_step_that_catches_every_exception_is_stopped_at_its_cursor(by_hand: ByHand, kind: str, how: str) -> None:
    service, rows = by_hand(), 20
    ledger = service.path()

    operation = service.start("importing", kind=kind, rows=rows, ledger=ledger, how=how)
    service.deliver_all()

    assert lines_of(ledger) == ["0", "1", f"asked {how}", "2"]
    assert service.completion(operation) is (Completion.PAUSED if how == "pause" else Completion.CANCELLED)


@pytest.mark.parametrize("kind", KINDS_OF_TASK)
def test_a_step_that_catches_every_exception_goes_on_from_its_place_and_counts_no_stop(
    by_hand: ByHand, kind: str
) -> None:
    service = by_hand()
    ledger = service.path()
    operation = service.start("importing", kind=kind, rows=5, ledger=ledger, how="pause")
    service.deliver_all()

    service.resume(operation)
    service.deliver_all()

    assert service.show(operation).result == '"0 bad"'
    assert lines_of(ledger) == ["0", "1", "asked pause", "2", "3", "4"]


@pytest.mark.parametrize("how", ["return", "raise", "signal", "leave"])
def test_a_stop_that_the_code_swallows_is_raised_again_and_ends_the_step_all_the_same(
    by_hand: ByHand, how: str
) -> None:
    service = by_hand()
    ledger = service.path()
    operation = service.start("swallowing", how=how, ledger=ledger)

    service.deliver_all()

    assert service.completion(operation) is Completion.PAUSED
    assert lines_of(ledger) == ["from None", "stopped 3 times"]
    service.resume(operation)
    service.deliver_all()
    assert service.show(operation).result == '"went on from 2"'


def test_rows_that_seem_to_end_where_the_step_is_stopped_are_gone_over_from_there(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("swallowing-over")
    service.deliver_all()

    service.resume(operation)
    service.deliver_all()

    assert service.show(operation).result == '"2 from 2"'


SAID = {
    "SKIP": (StepState.SKIPPED, 1),
    "PAUSE": (StepState.PAUSED, 1),
    "RETRY": (StepState.RETRYING, 1),
    "FAIL": (StepState.FAILED, 1),
    "SUCCESS": (StepState.SUCCESS, 1),
}


@pytest.mark.parametrize("word", SAID)
@pytest.mark.parametrize("kind", ["within", "base class", "hook"])
def test_a_signal_passes_whatever_catches_exceptions(by_hand: ByHand, kind: str, word: str) -> None:
    service = by_hand()
    ledger = service.path()
    operation = service.start("saying", kind=kind, word=word, ledger=ledger)

    service.deliver()

    step = next(iter(service.steps(operation).values()))
    assert (step.state, step.runs) == SAID[word]


@pytest.mark.parametrize(
    ("word", "state"),
    [("SKIP", StepState.SKIPPED), ("PAUSE", StepState.PAUSED), ("SUCCESS", StepState.SUCCESS)],
)
def test_a_signal_is_not_retried_by_celery(by_hand: ByHand, word: str, state: StepState) -> None:
    service = by_hand()
    operation = service.start("saying", kind="autoretry", word=word, ledger=service.path())

    service.deliver()

    assert service.steps(operation)["say_retried"].state is state


def test_a_signal_to_retry_keeps_its_own_time_in_a_task_that_celery_retries(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("saying", kind="autoretry", word="RETRY", ledger=service.path())

    service.deliver()

    step = service.steps(operation)["say_retried"]
    assert step.state is StepState.RETRYING
    assert (step.due_at or 0) <= (step.started_at or 0) + 60


def test_a_signalled_failure_is_retried_by_celery_as_any_other(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("saying", kind="autoretry", word="FAIL", ledger=service.path())

    service.deliver()

    step = service.steps(operation)["say_retried"]
    assert (step.state, step.message) == (StepState.RETRYING, "broken")
    assert (step.due_at or 0) > (step.started_at or 0) + 3000


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("-1", ("SystemExit", "-1")),
        ("1", ("SystemExit", "1")),
        ("0", ("SystemExit", "0")),
        ("text", ("SystemExit", "nothing to do")),
        ("interrupt", ("KeyboardInterrupt", "")),
    ],
)
def test_a_step_that_exits_has_failed_once(service: Service, how: str, error: tuple[str, str]) -> None:
    ledger = service.path()

    operation = service.start("leaving-code", how=how, ledger=ledger)

    told = service.error(operation)
    assert (told["type"], told["message"]) == error
    step = service.steps(operation)["leave"]
    assert (step.state, step.runs, step.losses) == (StepState.FAILED, 1, 0)
    assert lines_of(ledger) == [how]


@pytest.mark.parametrize(("how", "code"), [("return", 0), ("raise", 1), ("exit", 3), ("keep", 1)])
def test_a_child_that_a_step_forked_ends_where_the_steps_code_ends(service: Service, how: str, code: int) -> None:
    ledger = service.path()

    operation = service.run("forking", how=how, ledger=ledger)

    assert operation.result == f'"the parent\'s, {code}"'
    step = service.steps(operation.id)["fork"]
    assert (step.runs, step.losses) == (1, 0)
    assert len(lines_of(ledger)) == 1


@pytest.mark.parametrize("where", FORKING_ELSEWHERE)
def test_a_child_that_authors_code_around_a_step_forked_ends_where_that_code_ends(service: Service, where: str) -> None:
    ledger = service.path()

    operation = service.start("forking-elsewhere", where=where, ledger=ledger)

    service.wait_until(operation, Completion.FAILED, Completion.PAUSED)
    wait_for(lambda: Path(ledger).exists() and bool(lines_of(ledger)))
    assert [line.rpartition(" with ")[0] for line in lines_of(ledger)] == ["the child ended"]


def test_a_child_that_a_workflow_forked_starts_nothing(by_hand: ByHand) -> None:
    service, test = by_hand(), os.getpid()
    ledger = service.path()

    try:
        service.start("forking-elsewhere", where="a workflow", ledger=ledger)
    finally:
        if os.getpid() != test:
            os._exit(9)

    assert lines_of(ledger) == ["the child ended with 0"]
    assert service.read("SELECT count(*) FROM operations") == [(1,)]


@pytest.mark.parametrize("end", ["fail", "retry", "pause"])
def test_a_step_goes_on_from_the_last_place_that_it_kept_however_it_ended(by_hand: ByHand, end: str) -> None:
    service = by_hand()
    ledger = service.path()
    operation = service.start("going-far", ledger=ledger, end=end)

    service.deliver()

    kept = service.steps(operation)["go_far"]
    assert (kept.cursor, kept.done, kept.total) == ('{"at":100}', 100, 100)


def test_a_step_that_fails_behind_its_rows_goes_over_none_of_them_again(by_hand: ByHand) -> None:
    service = by_hand()
    ledger = service.path()
    operation = service.start("going-over-far", ledger=ledger, end="fail")
    service.deliver_all()

    service.retry(operation)
    service.deliver_all()

    assert service.show(operation).result == '"went on from 100"'
    assert lines_of(ledger) == [str(row) for row in range(1, 101)]


@pytest.mark.parametrize(("how", "result"), [("group", "[2,4,6]"), ("chain", "4"), ("one", "2")])
def test_what_a_step_puts_in_its_place_waits_for_a_pause_that_was_requested_meanwhile(
    by_hand: ByHand, how: str, result: str
) -> None:
    service = by_hand()
    ledger = service.path()
    operation = service.start("growing-while-paused", how=how, ledger=ledger)

    service.deliver_all()

    assert service.completion(operation) is Completion.PAUSED
    assert lines_of(ledger) == []
    service.resume(operation)
    service.deliver_all()
    assert service.show(operation).result == result


def test_a_workflow_without_pause_points_has_none_in_what_grows_either(by_hand: ByHand) -> None:
    service = by_hand()

    operation = service.start("growing-unpaused", how="chain", ledger=service.path())
    service.deliver_all()

    assert service.show(operation).result == "4"


def test_a_step_that_keeps_a_place_before_it_pauses_asks_a_person_once(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("asking-once")
    service.deliver_all()
    assert (service.completion(operation), service.show(operation).reason) == (Completion.PAUSED, "Is it right?")

    service.resume(operation)
    service.deliver_all()

    assert service.show(operation).result == '"went on"'


@pytest.mark.parametrize("kind", ["manual", "own", "first"])
@pytest.mark.parametrize("is_paused_before", [False, True])
def test_a_trigger_knows_that_a_person_has_resumed(by_hand: ByHand, kind: str, *, is_paused_before: bool) -> None:
    service = by_hand()
    ledger = service.path()
    operation = service.start("approved", kind=kind, ledger=ledger)
    if is_paused_before:  # a resume of what its trigger has not asked for is no answer to it
        service.pause(operation)
        service.resume(operation)

    service.deliver_all()

    assert service.completion(operation) is Completion.PAUSED
    assert lines_of(ledger) == []
    service.resume(operation)
    service.deliver_all()
    assert service.show(operation).result == "7"


def test_a_trigger_asks_a_person_once_for_all_retries_and_anew_for_a_retry_by_a_person(by_hand: ByHand) -> None:
    service = by_hand()
    ledger = service.path()
    operation = service.start("approved", kind="manual", ledger=ledger, how="retry")
    service.deliver_all()
    service.resume(operation)
    service.deliver_all()
    sweep(service.engine)
    service.deliver_all()
    assert service.show(operation).result == "7"

    failing = service.start("approved", kind="manual", ledger=ledger, how="fail")
    service.deliver_all()
    service.resume(failing)
    service.deliver_all()
    service.retry(failing)
    service.deliver_all()

    assert service.completion(failing) is Completion.PAUSED


def test_a_trigger_knows_that_a_person_has_resumed_what_was_moved(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("approved", kind="manual", ledger=service.path())
    service.deliver_all()
    content = service.commands.document(service.ada, operation)

    document = advance(content, Budget(), service.commands.workflows, Keys())

    assert document["completion"] == "COMPLETED"
