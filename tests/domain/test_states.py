from __future__ import annotations

import pytest

from pausable.model.states import (
    CLAIMABLE,
    ENDED,
    FINAL,
    IDLE,
    OPERATION_MOVES,
    REQUESTING,
    STEP_MOVES,
    Completion,
    StepState,
)


@pytest.mark.parametrize("completion", Completion)
def test_an_operation_moves_on_when_it_has_not_ended_or_is_retried(completion: Completion) -> None:
    targets = {end for source, end in OPERATION_MOVES if source is completion}

    if completion is Completion.FAILED:
        assert targets == {Completion.IN_PROGRESS}
    else:
        assert bool(targets) == (completion not in ENDED)


@pytest.mark.parametrize("state", StepState)
def test_a_step_that_has_ended_moves_on_only_to_run_again(state: StepState) -> None:
    targets = {end for source, end in STEP_MOVES if source is state}

    if state in FINAL:
        assert targets == {StepState.PENDING}
    else:
        assert targets


@pytest.mark.parametrize("sentence", [*OPERATION_MOVES.values(), *STEP_MOVES.values()])
def test_every_move_says_in_a_sentence_when_it_happens(sentence: str) -> None:
    assert sentence[0].isupper()
    assert sentence.endswith(".")


def reachable(start: Completion) -> set[Completion]:
    found, new = set[Completion](), {start}
    while new:
        found |= new
        new = {end for source, end in OPERATION_MOVES if source in new} - found
    return found


def test_from_its_start_an_operation_can_come_to_every_completion() -> None:
    assert reachable(Completion.SCHEDULED) == set(Completion)


@pytest.mark.parametrize("completion", sorted(set(Completion) - ENDED))
def test_wherever_an_operation_stands_it_can_be_cancelled(completion: Completion) -> None:
    assert Completion.CANCELLED in reachable(completion)


def test_what_is_asked_to_pause_or_cancel_is_not_claimable() -> None:
    assert not REQUESTING & CLAIMABLE
    assert REQUESTING | CLAIMABLE | ENDED | {Completion.PAUSED} == set(Completion)


def test_a_step_is_final_idle_or_runs() -> None:
    assert FINAL | IDLE | {StepState.RUNNING} == set(StepState)
    assert not FINAL & IDLE


def test_the_words_are_those_of_the_contract() -> None:
    words = "SCHEDULED, IN PROGRESS, REQUESTING PAUSE, PAUSED, REQUESTING CANCEL, CANCELLED, COMPLETED, FAILED"
    assert ", ".join(Completion) == words
