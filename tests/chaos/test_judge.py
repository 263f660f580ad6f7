"""The judge, given a ledger and a table in which one thing is wrong: it is counted, and nothing else is."""

from __future__ import annotations

import pytest

from chaos.evidence import Asked, Evidence, Operation, Recording
from chaos.judge import MUST_BE_NONE
from tests.chaos.evidence import ARGUMENTS, FIRST, RESULT, evidence, execution, moves


def counted(given: Evidence) -> dict[str, int]:
    """What the judge finds, by its name."""
    found = {name: len(list(count(given))) for name, count in MUST_BE_NONE.items()}
    return {name: number for name, number in found.items() if number}


def ending(
    completion: str, *, shape: str = "chain of 5", is_cancelled: bool = False, error: str = "", **others: object
) -> Evidence:
    """An operation of this shape that came to this end, cancelled by people or not."""
    given = {"start": 1} if shape == "failing" else ARGUMENTS
    told = [(10.0, "SCHEDULED"), *([(11.0, "REQUESTING CANCEL")] if is_cancelled else []), (12.0, completion)]
    return evidence(
        asked=[Asked("a", shape, given, 1, is_cancelled)],
        operations=[Operation(1, "a", completion, RESULT, error)],
        **{"moves": moves(*told)} | others,
    )


def test_a_run_in_which_nothing_went_wrong_passes() -> None:
    assert counted(evidence()) == {}


def test_an_operation_that_the_table_does_not_know_is_lost() -> None:
    spoiled = evidence(operations=[], executions=[], moves=[])

    assert counted(spoiled) == {"operations lost": 1}


def test_an_operation_that_was_answered_under_another_id_is_lost() -> None:
    spoiled = evidence(asked=[Asked("a", "chain of 5", ARGUMENTS, 7)])

    assert counted(spoiled) == {"operations lost": 1}


def test_an_operation_that_ran_and_is_in_no_table_is_lost() -> None:
    assert counted(evidence(asked=[], operations=[])) == {"operations lost": 1}


@pytest.mark.parametrize("completion", ["SCHEDULED", "IN PROGRESS", "REQUESTING PAUSE", "PAUSED", "REQUESTING CANCEL"])
def test_an_operation_that_has_not_ended_is_stuck(completion: str) -> None:
    assert counted(evidence(operations=[Operation(1, "a", completion)])) == {"operations stuck": 1}


def test_a_result_that_does_not_follow_from_the_arguments_is_wrong() -> None:
    spoiled = evidence(operations=[Operation(1, "a", "COMPLETED", RESULT + 1)])

    assert counted(spoiled) == {"wrong results": 1}


def test_a_failure_that_the_arguments_do_not_ask_for_is_wrong() -> None:
    assert counted(ending("FAILED", error="ArithmeticError")) == {"wrong results": 1}


def test_a_failure_because_its_worker_was_lost_too_often_is_no_wrong_result() -> None:
    assert counted(ending("FAILED", error="WorkerLost")) == {}


def test_an_operation_that_had_to_fail_and_did_is_right() -> None:
    assert counted(ending("FAILED", shape="failing", error="ArithmeticError")) == {}


def test_an_operation_that_had_to_fail_and_failed_otherwise_is_wrong() -> None:
    assert counted(ending("FAILED", shape="failing", error="KeyError")) == {"wrong results": 1}


def test_an_operation_that_had_to_fail_and_did_not_is_wrong() -> None:
    assert counted(ending("COMPLETED", shape="failing")) == {"wrong results": 1}


def test_a_cancel_that_nobody_asked_for_is_wrong() -> None:
    assert counted(ending("CANCELLED")) == {"wrong results": 1}


@pytest.mark.parametrize("completion", ["CANCELLED", "COMPLETED"])
def test_a_cancelled_operation_is_cancelled_or_had_only_its_last_step_left(completion: str) -> None:
    assert counted(ending(completion, is_cancelled=True)) == {}


def test_a_cancel_that_was_granted_and_forgotten_is_wrong() -> None:
    forgotten = ending("COMPLETED", is_cancelled=True, moves=moves((10, "SCHEDULED"), (12, "COMPLETED")))

    assert counted(forgotten) == {"wrong results": 1}


def test_a_step_whose_ending_was_written_twice_is_counted() -> None:
    twice = [*evidence().recordings, Recording(1, "mix-3", 22.5, "Success")]

    assert counted(evidence(recordings=twice)) == {"steps recorded twice": 1}


@pytest.mark.parametrize(
    ("begun", "ended"), [(12.5, 13.5), (14.0, 15.0), (12.5, 21.0), (19.5, 20.5)], ids=["into", "in", "across", "out of"]
)
def test_code_that_runs_while_its_operation_is_paused_is_counted(begun: float, ended: float) -> None:
    running = [*evidence().executions, execution("mix-2", begun, ended)]

    assert counted(evidence(executions=running)) == {"PAUSED while code runs": 1}


def test_code_that_never_ended_ran_for_as_long_as_its_process_was_seen_alive() -> None:
    cut_short = [execution("mix-1", 11.0, None)]

    assert counted(evidence(executions=cut_short, last_seen={FIRST: 12.9})) == {}
    assert counted(evidence(executions=cut_short, last_seen={FIRST: 13.1})) == {"PAUSED while code runs": 1}


def test_nothing_may_run_of_an_operation_that_stays_paused() -> None:
    late = evidence(
        operations=[Operation(1, "a", "PAUSED")],
        moves=moves((10, "SCHEDULED"), (13, "PAUSED")),
        executions=[execution("mix-2", 500, 501)],
    )

    assert counted(late) == {"operations stuck": 1, "PAUSED while code runs": 1}
