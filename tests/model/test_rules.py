"""The rules searched through and through; and each clause they stand on left out, which brings its counterexample."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.model.clauses import EVERYBODY, Rules
from tests.model.search import Found, search
from tests.model.state import Budget, start

#: What may befall an operation in the large search, in any order and at any moment.
EVERYTHING = Budget(kills=1, stops=1, losses=1, pauses=2, resumes=2, cancels=1)
#: What else is searched: a message that is delivered twice, and two workers of which both are lost.
OTHERS = [
    Budget(stops=1, duplicates=1, pauses=1, resumes=1),
    Budget(kills=2, losses=1, pauses=1, resumes=1),
    Budget(stops=2, pauses=1, cancels=1),
]
PAUSED_TOO_SOON, STUCK, USURPED = "paused with running code", "stuck", "written under a lost claim"
#: Each clause left out, what is enough to befall the operation then, and what comes of it.
LEFT_OUT = {
    "losing a claim raises it, which is all that a write compares": (
        Rules(losing_raises_the_claim=False, settling_asks_for_the_state=False),
        Budget(stops=1),
        USURPED,
    ),
    "a silent worker proves nothing": (Rules(silence_proves_nothing=False), Budget(stops=1, pauses=1), PAUSED_TOO_SOON),
    "withdrawing a pause and resuming are one path": (
        Rules(withdrawing_releases=False),
        Budget(pauses=1, resumes=1),
        STUCK,
    ),
    "one function drains, whoever was last": (Rules(drained_by=frozenset({"settle"})), Budget(pauses=1), STUCK),
    "a command drains, or dies and a sweep does": (
        Rules(drained_by=EVERYBODY - {"sweep"}),
        Budget(kills=1, losses=1, pauses=1),
        STUCK,
    ),
    "a loss drains": (Rules(drained_by=EVERYBODY - {"sweep", "loss"}), Budget(kills=1, pauses=1), STUCK),
    "a holder that is found to be gone drains": (
        Rules(drained_by=EVERYBODY - {"sweep", "confirmation"}),
        Budget(stops=1, pauses=1),
        STUCK,
    ),
    "PAUSED is written only if nothing has happened since": (
        Rules(pausing_is_guarded=False),
        Budget(pauses=1, resumes=1),
        PAUSED_TOO_SOON,
    ),
    "one claim wins": (Rules(claiming_is_guarded=False), Budget(duplicates=1, pauses=1), PAUSED_TOO_SOON),
    "what is queued is published again": (Rules(sweeping_publishes=False), Budget(losses=1), STUCK),
    "the claims of the dead are taken away": (Rules(sweeping_expires=False), Budget(kills=1), STUCK),
}


def told(found: Found) -> str:
    return "\n".join(f"{fault}: {' > '.join(found.way_to(state))}" for fault, state in found.faults.items())


def test_no_way_leads_to_a_stuck_operation_or_to_paused_with_running_code(capsys: pytest.CaptureFixture[str]) -> None:
    found = search(start(EVERYTHING), Rules())

    with capsys.disabled():
        print(f"\n{len(found.reached):,} states of the rules, {told(found) or 'no fault'}")  # noqa: T201
    assert not found.faults, told(found)
    assert len(found.reached) > 10_000


@pytest.mark.parametrize("budget", OTHERS)
def test_no_way_leads_there_either_when_other_faults_meet(budget: Budget) -> None:
    found = search(start(budget), Rules())

    assert not found.faults, told(found)
    assert len(found.reached) > 1_000


@pytest.mark.parametrize("clause", LEFT_OUT)
def test_a_clause_that_is_left_out_brings_its_counterexample(clause: str) -> None:
    rules, budget, fault = LEFT_OUT[clause]
    assert not search(start(budget), Rules()).faults

    found = search(start(budget), rules)

    assert fault in found.faults, told(found) or "the search found nothing"


@pytest.mark.parametrize("one_guard", [Rules(losing_raises_the_claim=False), Rules(settling_asks_for_the_state=False)])
def test_of_the_two_guards_of_a_claim_each_holds_without_the_other(one_guard: Rules) -> None:
    budget = Budget(kills=1, stops=1, losses=1, pauses=1)

    assert not search(start(budget), one_guard).faults


@pytest.mark.parametrize("caller", sorted(EVERYBODY - {"sweep"}))
def test_whoever_else_forgets_to_drain_a_sweep_makes_up_for_it(caller: str) -> None:
    forgetful = replace(Rules(), drained_by=EVERYBODY - {caller})

    assert not search(start(Budget(kills=1, stops=1, losses=1, pauses=1)), forgetful).faults
