"""A worker that is told to leave hands back what it has not started at once, and everything within its grace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pausable.model.states import Completion, StepState
from tests.deadlines import WAIT
from tests.execution.service import wait_for
from tests.recovery.flows import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service
    from tests.recovery.mortal import Mortal

if TYPE_CHECKING:
    Employ = Callable[..., Mortal]


def test_what_has_not_started_is_back_in_the_queue_while_the_step_in_hand_still_runs(
    service: Service, employ: Employ
) -> None:
    worker, ledger, gate = employ(processes=1, grace=30), service.path(), service.path()
    operation = service.start("held-many", ledger=ledger, gate=gate, width=3)
    wait_for(
        lambda: len(lines_of(ledger)) == 1 and service.messages() <= 1,
        lambda: f"{lines_of(ledger)}, {service.messages()} messages, {service.states(operation)}",
    )

    worker.leave()
    wait_for(lambda: service.messages() >= 2)

    assert worker.process.poll() is None
    assert len(lines_of(ledger)) == 1
    Path(gate).touch()
    assert worker.process.wait(WAIT) == 0
    employ()
    assert service.ended(operation).result == "6"
    assert [step.losses for step in service.steps(operation).values()] == [0] * 5
    assert [step.runs for step in service.steps(operation).values()] == [1] * 5


def test_a_worker_that_leaves_between_two_steps_of_a_slice_hands_the_next_one_on(
    service: Service, employ: Employ
) -> None:
    worker, ledger, gate = employ(processes=1, grace=30), service.path(), service.path()
    operation = service.start("held", ledger=ledger, gate=gate)
    wait_for(lambda: len(lines_of(ledger)) == 1)

    worker.leave()
    wait_for(lambda: any(one.stopped_at is None for one in service.workers()))
    Path(gate).touch()
    assert worker.process.wait(WAIT) == 0

    assert service.states(operation)["plus-2"] is StepState.QUEUED
    assert service.completion(operation) is Completion.IN_PROGRESS
    employ()
    assert service.ended(operation).result == "3"


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_what_runs_when_the_grace_is_over_is_killed_and_runs_again_elsewhere_without_a_loss(
    service: Service, employ: Employ, pool: str
) -> None:
    worker, ledger, gate = employ(processes=1, pool=pool, grace=0.5), service.path(), service.path()
    operation = service.start("held", ledger=ledger, gate=gate)
    wait_for(lambda: len(lines_of(ledger)) == 1)

    worker.leave()
    assert worker.process.wait(WAIT) == 0
    employ()
    wait_for(lambda: len(lines_of(ledger)) == 2)
    Path(gate).touch()

    assert service.ended(operation).result == "3"
    assert service.steps(operation)["run_at"].losses == 0
    assert [worker.lost_at for worker in service.workers()] == [None, None]


def test_a_worker_that_leaves_lets_a_pause_take_effect(service: Service, employ: Employ) -> None:
    worker, ledger, gate = employ(processes=1, grace=0.5), service.path(), service.path()
    operation = service.start("held", ledger=ledger, gate=gate)
    wait_for(lambda: len(lines_of(ledger)) == 1)
    service.pause(operation)

    worker.leave()

    service.wait_until(operation, Completion.PAUSED)
    assert service.states(operation)["run_at"] is StepState.PAUSED
