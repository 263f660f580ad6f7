"""One operation whose rows nobody can read or change: what is due of all others goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pausable.clock import frozen_at
from pausable.model.states import Completion, StepState
from pausable.worker.recovery import Recovery
from pausable.worker.sweeper import sweep
from tests.execution.service import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]


def test_a_claim_that_cannot_be_taken_away_keeps_no_other_from_being_found(by_hand: ByHand) -> None:
    service = by_hand(lease=1)
    broken, whole = held_by_the_dead(service), held_by_the_dead(service)
    break_steps(service, broken)
    recovery = Recovery(service.engine)

    def is_taken_away() -> bool:
        recovery.look()
        return first_state(service, whole) is StepState.QUEUED

    wait_for(is_taken_away)


def test_a_step_that_cannot_be_published_again_keeps_no_other_from_it(by_hand: ByHand) -> None:
    service = by_hand()
    broken, whole = service.start("adding", numbers=[1, 2]), service.start("adding", numbers=[1, 2])
    break_steps(service, broken)
    service.queue.flushdb()

    with frozen_at(time.time() + 1000):
        sweep(service.engine)

    service.deliver_all()
    assert service.completion(whole) is Completion.COMPLETED


def test_a_step_whose_message_was_lost_is_published_though_another_cannot_be(by_hand: ByHand) -> None:
    service = by_hand()
    broken, whole = service.start("adding", numbers=[1, 2]), service.start("adding", numbers=[1, 2])
    break_steps(service, broken)
    service.queue.flushdb()

    with frozen_at(time.time() + 10):
        sweep(service.engine)

    service.deliver_all()
    assert service.completion(whole) is Completion.COMPLETED


def test_an_operation_starts_at_its_time_though_another_cannot(by_hand: ByHand) -> None:
    service = by_hand()
    now = time.time()
    broken, whole = (
        service.commands.start(service.ada, "adding", {"numbers": [1, 2]}, start_at=now + wait)[0].operation.id
        for wait in (5, 6)
    )
    break_steps(service, broken)

    with frozen_at(now + 10):
        sweep(service.engine)

    service.deliver_all()
    assert service.completion(whole) is Completion.COMPLETED


def break_steps(service: Service, operation: int) -> None:
    """Leave in the table what is no call of a task."""
    service.change("UPDATE steps SET signature = '{' WHERE operation_id = ?", operation)


def held_by_the_dead(service: Service) -> int:
    """An operation whose first step is held by the main process of a worker elsewhere, which has ended."""
    operation, now = service.start("adding", numbers=[1, 2]), time.time()
    service.change(
        "INSERT INTO workers (id, host, boot_id, pid, start_time, started_at, heartbeat, seen_at, stopped_at) "
        "VALUES (?, 'elsewhere', '', 41, ?, ?, 7, ?, ?)",
        900 + operation, operation, now, now, now,
    )  # fmt: skip
    service.change(
        "UPDATE steps SET state = 'Running', claim = 1, runs = 1, started_at = ?, worker_id = ?, process = 41, "
        "process_start = 5 WHERE operation_id = ? AND number = 0",
        now, 900 + operation, operation,
    )  # fmt: skip
    return operation


def first_state(service: Service, operation: int) -> StepState:
    return next(iter(service.states(operation).values()))
