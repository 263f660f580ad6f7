"""Steps that the service runs again by itself: how often, after which failures, and what it means to wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pausable.clock import frozen_at
from pausable.engine.claim import claim
from pausable.model.states import Completion, StepState
from pausable.worker.sweeper import sweep
from tests.databases import both_when_long
from tests.execution.flows import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pausable.clock import FrozenClock
    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

database_kind = both_when_long()

_C, _S = Completion, StepState
NOON = 1_790_000_000.0  # times are told to the microsecond: a whole number is told exactly


@pytest.mark.parametrize(
    ("kind", "result", "runs"),
    [("twice", "3", 3), ("its kind", "2", 2), ("picked", "2", 2), ("signalled", "2", 2)],
)
def test_a_step_is_run_again_until_it_succeeds(service: Service, kind: str, result: str, runs: int) -> None:
    ledger = service.path()

    operation = service.start("own-retries", kind=kind, ledger=ledger)

    assert service.ended(operation).result == result
    assert len(lines_of(ledger)) == runs
    first, *_ = service.steps(operation).values()
    assert (first.runs, first.losses) == (runs, 0)


@pytest.mark.parametrize(
    ("kind", "error", "message", "runs"),
    [
        ("too often", "ArithmeticError", "failure 3", 3),
        ("another kind", "ArithmeticError", "failure 1", 1),
        ("not picked", "ArithmeticError", "failure 2", 2),
        ("puzzled", "RuntimeError", "the predicate is broken", 1),
    ],
)
def test_a_step_fails_with_the_last_error_when_it_is_not_to_be_run_again(
    service: Service, kind: str, error: str, message: str, runs: int
) -> None:
    ledger = service.path()

    operation = service.start("own-retries", kind=kind, ledger=ledger)

    told = service.error(operation)
    assert (told["type"], told["message"]) == (error, message)
    assert len(lines_of(ledger)) == runs


def test_each_retry_is_told_with_its_reason(service: Service) -> None:
    operation = service.start("own-retries", kind="twice", ledger=service.path())
    service.ended(operation)

    told = [event for event in service.commands.events(service.ada, operation) if event.new == _S.RETRYING]

    assert [event.why for event in told] == ["failure 1", "failure 2"]


def test_steps_that_wait_for_a_retry_hold_no_worker(service: Service) -> None:
    waiting = [service.start("own-retries", kind="patient", ledger=service.path()) for _ in range(6)]
    for operation in waiting:
        service.wait_for_step(operation, "patient", _S.RETRYING)

    others = [service.run("adding", numbers=[1, 2]) for _ in range(3)]

    assert [other.result for other in others] == ["3", "3", "3"]
    assert {service.completion(operation) for operation in waiting} == {_C.IN_PROGRESS}
    for operation in waiting:
        service.cancel(operation)


def test_a_wait_for_a_retry_does_not_hold_a_pause_up(service: Service) -> None:
    operation = service.start("own-retries", kind="patient", ledger=service.path())
    service.wait_for_step(operation, "patient", _S.RETRYING)

    service.pause(operation)

    assert service.completion(operation) is _C.PAUSED
    assert service.states(operation)["patient"] is _S.RETRYING
    service.cancel(operation)
    assert service.completion(operation) is _C.CANCELLED


def test_a_signal_keeps_its_time(by_hand: ByHand) -> None:
    service = by_hand()
    with frozen_at(NOON) as clock:
        operation = waiting(service, "signalled for later")

        assert comes_in(service, clock, 60)
        assert service.show(operation).result == "2"


def test_waits_grow_as_they_were_asked_to(by_hand: ByHand) -> None:
    service = by_hand()
    with frozen_at(NOON) as clock:
        operation = waiting(service, "backing off")

        assert [comes_in(service, clock, seconds) for seconds in (10, 20, 40)] == [True, True, True]
        assert service.completion(operation) is _C.FAILED


# While an operation is PAUSED the clocks of its waits stand still.


@pytest.mark.parametrize("kind", ["patient", "signalled for later"])
def test_the_clock_of_a_wait_stands_still_while_the_operation_is_paused(by_hand: ByHand, kind: str) -> None:
    service = by_hand()
    with frozen_at(NOON) as clock:
        operation = waiting(service, kind)
        for _ in range(2):
            clock.advance(10)
            service.pause(operation)
            clock.advance(3600)
            service.resume(operation)

        assert comes_in(service, clock, 40)


def test_the_clock_goes_on_where_its_step_asks_for_that(by_hand: ByHand) -> None:
    service = by_hand()
    with frozen_at(NOON) as clock:
        operation = waiting(service, "impatient")
        clock.advance(10)
        service.pause(operation)
        clock.advance(20)
        service.resume(operation)

        assert comes_in(service, clock, 30)


def test_a_wait_that_was_over_before_the_pause_stays_over(by_hand: ByHand) -> None:
    service = by_hand()
    with frozen_at(NOON) as clock:
        operation = waiting(service, "patient")
        clock.advance(60)
        service.pause(operation)
        clock.advance(3600)
        service.resume(operation)

        sweep(service.engine)
        assert service.deliver_all() == 1


def test_the_clock_goes_on_while_a_pause_is_only_requested(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=1)  # else a task that ran briefly in this process before runs on with its sibling
    with frozen_at(NOON) as clock:
        operation = service.start("patient-beside", ledger=service.path())
        service.deliver()
        service.deliver_step(operation, 1)
        claim(service.engine, operation, 2)
        due_at = service.steps(operation)["patient"].due_at

        service.pause(operation)
        assert service.completion(operation) is _C.REQUESTING_PAUSE
        clock.advance(30)
        service.resume(operation)

        assert service.steps(operation)["patient"].due_at == due_at


def test_the_clock_stands_still_from_the_pause_on_also_when_its_document_was_rebuilt(by_hand: ByHand) -> None:
    service = by_hand()
    with frozen_at(NOON) as clock:
        operation = waiting(service, "patient")
        service.pause(operation)
        clock.advance(1000)
        service.commands.rebuild(service.ada, operation)
        clock.advance(1000)
        service.resume(operation)

        assert comes_in(service, clock, 60)


def waiting(service: Service, kind: str) -> int:
    """An operation whose first step has failed just now and waits for its retry."""
    operation = service.start("own-retries", kind=kind, ledger=service.path())
    service.deliver()
    assert _S.RETRYING in service.states(operation).values()
    return operation


def comes_in(service: Service, clock: FrozenClock, seconds: float) -> bool:
    """Whether a wait is over after so many seconds, to the second; then what comes is delivered."""
    clock.advance(seconds - 1)
    sweep(service.engine)
    is_early = service.deliver_all() > 0
    clock.advance(1)
    sweep(service.engine)
    return not is_early and service.deliver_all() > 0
