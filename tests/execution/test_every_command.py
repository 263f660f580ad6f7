"""Every standing of an operation, and everything that may be asked of it: what is not in the tables changes no row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pausable import clock
from pausable.db.steps import find_step
from pausable.engine.drain import drain
from pausable.engine.outcome import Ended, Ending
from pausable.engine.settle import is_waiting_for_drain, settle
from pausable.errors import ClaimLost, DocumentUnusable, MoveRefused
from pausable.model.states import Completion, StepState
from pausable.worker.sweeper import sweep
from tests.execution import standings as at
from tests.execution.standings import STANDINGS
from tests.execution.witness import illegal_moves, place_witness, rows_of, times_recorded

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]
    Standing = Callable[[Service], int]

_C = Completion
_DAY = 86400.0
SAME = "nothing changes"
REFUSED = "refused, and nothing changes"


def settled(state: StepState) -> Ending:
    return Ending(state, result="7") if state is StepState.SUCCESS else Ending(state, error="{}", due_at=clock.now())


def ended(service: Service, operation: int, number: int, *, claim_off: int = 0, is_claimed: bool = True) -> Ended:
    """A step that has run, as a worker knows it whose claim is that many off what the table says."""
    with service.engine.database.read() as tx:
        found = find_step(tx, operation, number)
    assert found is not None
    task = found[0]
    stale = type(task)(**{**vars(task), "claim": task.claim + claim_off})
    return Ended(stale, settled(StepState.SUCCESS), is_claimed, clock.now(), clock.now())


def deliver_every_step(service: Service, operation: int) -> None:
    for step in service.steps(operation).values():
        service.deliver_step(operation, step.number)


def settle_what_runs(service: Service, operation: int) -> None:
    """End what runs, as the worker that holds it does; where nothing runs, as one that only believes to hold it."""
    steps = service.steps(operation).values()
    runs = [step.number for step in steps if step.state is StepState.RUNNING]
    for number in runs or [step.number for step in steps]:
        outcome = settle(service.engine, operation, [ended(service, operation, number)])
        if is_waiting_for_drain(outcome):
            drain(service.engine, operation)


def sweep_a_day_later(service: Service, operation: int) -> None:
    with clock.frozen_at(clock.now() + _DAY):
        sweep(service.engine)


def asking(command: str) -> Callable[[Service, int], Any]:
    return lambda service, operation: getattr(service.commands, command)(service.ada, operation)


ASKED: dict[str, Callable[[Service, int], Any]] = {
    "pause": asking("pause"),
    "resume": asking("resume"),
    "cancel": asking("cancel"),
    "retry": asking("retry"),
    "rebuild": asking("rebuild"),
    "deliver": deliver_every_step,
    "drain": lambda service, operation: drain(service.engine, operation),
    "sweep": sweep_a_day_later,
    "settle": settle_what_runs,
}

_OVER = {"pause": REFUSED, "resume": REFUSED, "cancel": REFUSED}
_RUNS = {"pause": _C.REQUESTING_PAUSE, "resume": SAME, "cancel": _C.REQUESTING_CANCEL, "settle": _C.IN_PROGRESS}
_WAITS = {"pause": _C.PAUSED, "resume": SAME, "cancel": _C.CANCELLED, "sweep": _C.IN_PROGRESS}
_PAUSES = {"pause": SAME, "resume": _C.IN_PROGRESS, "cancel": _C.REQUESTING_CANCEL, "settle": _C.PAUSED}
_KEPT = {"pause": SAME, "resume": _C.IN_PROGRESS, "cancel": _C.CANCELLED}
_RESTS = {"pause": SAME, "resume": _C.IN_PROGRESS, "cancel": _C.CANCELLED, "rebuild": _C.PAUSED}

#: What each asking comes to: where the operation stands then, some row having changed, or one of the words above. What
#: is not told: `rebuild`, `retry` and `settle` are refused, everything else changes nothing.
OUTCOMES: dict[Standing, dict[str, Completion | str]] = {
    at.scheduled: _WAITS | {"sweep": _C.SCHEDULED, "deliver": _C.COMPLETED},
    at.running: _RUNS,
    at.queued: _WAITS | {"deliver": _C.COMPLETED},
    at.retrying: _WAITS,
    at.failed_beside_one_that_runs: _RUNS,
    at.pausing: _PAUSES,
    at.held_beside_one_that_runs: _PAUSES,
    at.kept_by_the_disk: _KEPT,
    at.kept_until_now: _KEPT | dict.fromkeys(("deliver", "drain", "sweep"), _C.PAUSED),
    at.paused: _RESTS,
    at.paused_without_its_document: _RESTS | {"resume": REFUSED},
    at.cancelling: {"pause": REFUSED, "resume": REFUSED, "cancel": SAME, "settle": _C.CANCELLED},
    at.cancelled: _OVER | {"cancel": SAME},
    at.completed: _OVER,
    at.failed: _OVER | {"retry": _C.IN_PROGRESS},
    at.retried: _WAITS | {"sweep": _C.IN_PROGRESS, "deliver": _C.FAILED},
}
EVERY_PAIR = [(standing, asked) for standing in STANDINGS for asked in ASKED]


#: What a worker may believe: how far its claim is off what the table says, and whether the table knows of the claim.
BELIEFS = [(off, is_claimed) for off in (-1, 0, 1) for is_claimed in (True, False)]


def outcome_of(standing: Standing, asked: str) -> Completion | str:
    return OUTCOMES[standing].get(asked, REFUSED if asked in ("retry", "rebuild", "settle") else SAME)


@pytest.mark.parametrize(("standing", "asked"), EVERY_PAIR)
def test_whatever_is_asked_moves_an_operation_as_the_contract_says_or_changes_no_row(
    by_hand: ByHand, standing: Standing, asked: str
) -> None:
    service = by_hand(slice_steps=1)
    place_witness(service)
    operation = standing(service)
    assert service.completion(operation) is STANDINGS[standing]
    before, outcome = rows_of(service, operation), outcome_of(standing, asked)

    if outcome == REFUSED:
        with pytest.raises((MoveRefused, DocumentUnusable, ClaimLost)):
            ASKED[asked](service, operation)
    else:
        ASKED[asked](service, operation)

    after = rows_of(service, operation)
    if outcome in (SAME, REFUSED):
        assert after == before
    else:
        assert after != before
        assert service.completion(operation) is outcome
    assert illegal_moves(service, operation) == []
    often = {1, 2} if standing is at.retried else {1}
    assert set(times_recorded(service, operation).values()) <= often


@pytest.mark.parametrize("standing", STANDINGS)
def test_who_does_not_hold_the_claim_settles_nothing_wherever_the_operation_stands(
    by_hand: ByHand, standing: Standing
) -> None:
    service = by_hand(slice_steps=1)
    operation = standing(service)
    before = rows_of(service, operation)
    tried = 0

    for step in service.steps(operation).values():
        for off, is_claimed in BELIEFS:
            if off == 0 and step.state is (StepState.RUNNING if is_claimed else StepState.PENDING):
                continue  # that one is right
            stale = ended(service, operation, step.number, claim_off=off, is_claimed=is_claimed)
            with pytest.raises(ClaimLost):
                settle(service.engine, operation, [stale])
            tried += 1

    assert tried >= 15
    assert rows_of(service, operation) == before


@pytest.mark.parametrize("completion", Completion)
def test_there_is_a_standing_for_every_completion(completion: Completion) -> None:
    assert completion in STANDINGS.values()
    assert OUTCOMES.keys() == STANDINGS.keys()
