"""What is handed back of a worker that has ended: only what is seen to run no more is told to run no more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from pausable.model.states import Completion, StepState
from pausable.worker.recovery import Recovery
from tests.execution.service import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

#: The main process of a worker elsewhere, and one of its pool.
MAIN, CHILD = 41, 42


def held_elsewhere(service: Service, process: int) -> int:
    """An operation whose first step is held by a process of a worker of another machine, which has ended in order."""
    operation, now = service.start("adding", numbers=[1, 2]), time.time()
    service.change(
        "INSERT INTO workers (id, host, boot_id, pid, start_time, started_at, heartbeat, seen_at, stopped_at) "
        "VALUES (9, 'elsewhere', '', ?, 5, ?, 7, ?, ?)",
        MAIN, now, now, now,
    )  # fmt: skip
    service.change(
        "UPDATE steps SET state = 'Running', claim = 1, runs = 1, started_at = ?, worker_id = 9, process = ?, "
        "process_start = 5 WHERE operation_id = ? AND number = 0",
        now, process, operation,
    )  # fmt: skip
    service.pause(operation)
    return operation


@pytest.mark.parametrize(("process", "stands"), [(CHILD, Completion.REQUESTING_PAUSE), (MAIN, Completion.PAUSED)])
def test_an_operation_is_paused_only_when_the_process_that_ran_it_is_known_to_have_ended(
    by_hand: ByHand, process: int, stands: Completion
) -> None:
    service = by_hand(lease=1)
    operation = held_elsewhere(service, process)
    recovery = Recovery(service.engine)

    def is_handed_back() -> bool:
        recovery.look()
        return first_state(service, operation) is not StepState.RUNNING

    wait_for(is_handed_back)

    assert service.completion(operation) is stands


def first_state(service: Service, operation: int) -> StepState:
    return next(iter(service.states(operation).values()))
