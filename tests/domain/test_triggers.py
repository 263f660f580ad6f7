"""Triggers: what each says of upstream steps that ended so."""

from __future__ import annotations

import pytest

from pausable.errors import StepOptionInvalid
from pausable.model import triggers
from pausable.model.states import Cached, Cancelled, Failed, Skipped, State, Success, TriggerFailed
from pausable.model.triggers import BY_NAME, name_of_trigger, some_successful, trigger_of

GOOD, BAD = Success(), Failed()


def upstream(*states: State) -> dict[str, State]:
    return {f"step-{number}": state for number, state in enumerate(states)}


@pytest.mark.parametrize(
    ("states", "runs"),
    [
        ((GOOD, GOOD), {"all_successful", "any_successful", "all_finished"}),
        ((GOOD, BAD), {"any_successful", "any_failed", "all_finished"}),
        ((BAD, BAD), {"all_failed", "any_failed", "all_finished"}),
        ((Cached(), Skipped()), {"all_successful", "any_successful", "all_finished"}),
        ((TriggerFailed(), BAD), {"all_failed", "any_failed", "all_finished"}),
        ((Cancelled(), Cancelled()), {"all_finished"}),
        ((Cancelled(), GOOD), {"any_successful", "all_finished"}),
    ],
)
def test_each_trigger_runs_its_step_after_such_ends_alone(states: tuple[State, ...], runs: set[str]) -> None:
    triggers = {name: trigger for name, trigger in BY_NAME.items() if name != "manual_only"}

    assert {name for name, trigger in triggers.items() if trigger(upstream(*states))} == runs


@pytest.mark.parametrize(
    ("at_least", "good", "bad", "runs"),
    [
        (1, 1, 9, True),
        (1, 0, 2, False),
        (2, 2, 1, True),
        (3, 2, 1, False),
        (0.5, 1, 1, True),
        (0.5, 1, 2, False),
        (0.9, 9, 1, True),
        (1.0, 1, 5, True),
    ],
)
def test_some_successful_counts_from_1_on_and_takes_a_share_below_it(
    at_least: float, good: int, bad: int, runs: bool
) -> None:
    states = upstream(*[GOOD] * good, *[BAD] * bad)

    assert some_successful(at_least)(states) is runs


@pytest.mark.parametrize("at_least", [0, -1, True, None, "2", float("nan")])
def test_some_successful_refuses_what_is_no_count_and_no_share(at_least: float) -> None:
    with pytest.raises(StepOptionInvalid, match="give a count, or a share below 1"):
        some_successful(at_least)


def test_a_trigger_is_given_by_its_name_or_as_a_function() -> None:
    assert trigger_of("any_failed") is triggers.any_failed
    assert trigger_of(triggers.all_failed) is triggers.all_failed


@pytest.mark.parametrize("given", ["all_succesful", "", 7, None, ["all_failed"]])
def test_an_unknown_trigger_is_refused_by_its_name_and_with_those_there_are(given: str) -> None:
    with pytest.raises(StepOptionInvalid, match="all_successful, all_failed, any_successful"):
        trigger_of(given)


def test_a_trigger_is_called_by_its_name() -> None:
    assert name_of_trigger(triggers.any_failed) == "any_failed"
    assert name_of_trigger(some_successful(0.5)) == "some_successful(at_least=0.5)"
