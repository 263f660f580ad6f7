"""What one message runs: as much as its budget allows, and steps with wishes of their own apart."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from pausable.clock import frozen_at
from pausable.engine import batch
from pausable.engine.settle import settle
from pausable.model.states import Completion, StepState
from pausable.worker.sweeper import sweep
from tests.execution.apart_flows import APART
from tests.execution.flows import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

#: Where the broker keeps messages: those of a priority lie apart (kombu, "Redis transport, priority steps").
QUEUES = ["operations", "own", *(f"operations\x06\x16{priority}" for priority in (3, 6, 9))]


def test_one_message_runs_a_chain_and_none_goes_to_its_pause_points(by_hand: ByHand) -> None:
    service = by_hand()
    before = service.sent()

    operation = service.start("adding", numbers=[1] * 50)
    messages = service.deliver_all()

    assert service.show(operation).result == "50"
    assert messages == service.sent() - before == 1


@pytest.mark.parametrize(("steps", "messages"), [(1, 50), (7, 8), (49, 2), (50, 1)])
def test_a_slice_ends_after_its_number_of_steps_and_hands_over_by_message(
    by_hand: ByHand, steps: int, messages: int
) -> None:
    service = by_hand(slice_steps=steps)

    for _ in range(3):  # by the third time its steps are known to be short
        operation = service.start("adding", numbers=[1] * 50)
        assert service.deliver_all() == messages

    assert service.show(operation).result == "50"


def test_a_slice_ends_when_its_time_is_over(by_hand: ByHand) -> None:
    service = by_hand(slice_seconds=1e-9)

    operation = service.start("adding", numbers=[1] * 5)

    assert service.deliver_all() == 5
    assert service.show(operation).result == "5"


def test_what_starts_beside_the_next_step_gets_messages_of_its_own(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=2)

    operation = service.start("fan", width=10)
    service.deliver()

    assert service.messages() == 9
    service.deliver_all()
    assert service.show(operation).result == "45"


@pytest.mark.parametrize("kind", APART)
def test_a_step_with_a_wish_of_its_own_gets_a_message_that_runs_only_it(by_hand: ByHand, kind: str) -> None:
    service = by_hand()
    with frozen_at(time.time()) as clock:
        operation = service.start("apart", kind=kind)
        service.deliver()
        assert finished(service, operation) == 2

        clock.advance(2)
        sweep(service.engine)
        service.deliver(next(queue for queue in QUEUES if service.messages(queue)))
        assert finished(service, operation) == 3

        assert service.deliver_all() == 1
        assert service.show(operation).result == "4"


def finished(service: Service, operation: int) -> int:
    return sum(state is StepState.SUCCESS for state in service.states(operation).values())


@pytest.mark.parametrize(
    ("workflow", "runs"), [("every-second", "ab"), ("every-third", "abc"), ("placed-by-hand", "ab")]
)
@pytest.mark.parametrize("steps", [1, 1000])
def test_a_pause_waits_for_the_next_pause_point_even_where_slices_end(
    by_hand: ByHand, workflow: str, runs: str, steps: int
) -> None:
    service = by_hand(slice_steps=steps)
    ledger = service.path()

    operation = service.start(workflow, ledger=ledger, stop="a")
    service.deliver_all()

    assert service.completion(operation) is Completion.PAUSED
    assert lines_of(ledger) == list(runs)


def test_a_pause_takes_effect_at_once_while_everything_is_merely_queued(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=1)
    ledger = service.path()
    operation = service.start("every-second", ledger=ledger)
    service.deliver()

    service.pause(operation)

    assert service.completion(operation) is Completion.PAUSED
    service.deliver_all()
    assert lines_of(ledger) == ["a"]


def test_a_step_knows_its_id_its_task_and_where_it_was_delivered(service: Service) -> None:
    operation = service.start("asking")

    told = json.loads(service.ended(operation).result or "null")

    assert [one[0] for one in told] == [service.task_id(operation, f"request_of-{number}") for number in (2, 3)]
    for _id, retries, delivery, task, root, called_directly in told:
        assert (retries, task, root) == (
            0,
            "tests.execution.flows.request_of",
            service.task_id(operation, "request_of-1"),
        )
        assert (delivery["routing_key"], delivery["redelivered"], called_directly) == ("operations", False, False)


def test_a_step_that_outlives_its_soft_time_limit_fails(service: Service) -> None:
    operation = service.start("hasty")

    assert service.error(operation)["type"] == "SoftTimeLimitExceeded"
    assert service.states(operation)["hasty"] is StepState.FAILED


def test_steps_with_wishes_of_their_own_run_on_real_workers(service: Service) -> None:
    operations = [service.start("apart", kind=kind) for kind in APART]

    assert [service.ended(operation).result for operation in operations] == ["4"] * len(APART)


def interrupted_once(*, is_committed: bool) -> Callable[..., Any]:
    """Settling, into which a time limit falls the first time: before it has happened, or just after."""
    limits = [SoftTimeLimitExceeded()]

    def interrupted(*given: Any, **named: Any) -> Any:
        settled = settle(*given, **named) if is_committed or not limits else None
        if limits:
            raise limits.pop()
        return settled

    return interrupted


@pytest.mark.parametrize("is_committed", [False, True])
def test_a_time_limit_that_comes_when_the_code_of_a_step_has_ended_comes_too_late(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch, is_committed: bool
) -> None:
    service = by_hand(slice_steps=1)
    monkeypatch.setattr(batch, "settle_and_confirm", interrupted_once(is_committed=is_committed))
    operation = service.start("adding", numbers=[1, 2])
    service.deliver()
    with frozen_at(time.time() + 61):
        sweep(service.engine)

    service.deliver_all()
    assert service.show(operation).result == "3"
