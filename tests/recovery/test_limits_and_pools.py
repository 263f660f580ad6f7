"""What a worker does for the steps it runs, whatever its pool: limits, beats, and waking up in time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pausable.model.states import Completion, StepState
from tests.execution.service import wait_for
from tests.recovery.flows import lines_of
from tests.recovery.mortal import is_gone

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service
    from tests.recovery.mortal import Mortal

if TYPE_CHECKING:
    Employ = Callable[..., Mortal]


def test_a_step_that_outlives_its_hard_time_limit_fails_with_that_reason(service: Service, employ: Employ) -> None:
    employ()
    ledger = service.path()

    operation = service.start("overlong", ledger=ledger)

    error = service.error(operation)
    assert (error["step"], error["type"]) == ("overlong", "TimeLimitPassed")
    assert error["message"] == "It was killed because it ran for longer than its time limit of 1 s."
    assert is_gone(int(lines_of(ledger)[0]))
    assert service.steps(operation)["overlong"].losses == 0
    assert service.states(operation)["plus-2"] is StepState.TRIGGER_FAILED


def test_a_step_that_outlived_its_hard_time_limit_is_run_again_where_its_author_asked_for_that(
    service: Service, employ: Employ
) -> None:
    employ()
    ledger = service.path()

    operation = service.start("overlong-once", ledger=ledger)

    assert service.ended(operation).completion is Completion.COMPLETED
    step = service.steps(operation)["overlong_once"]
    assert (step.runs, step.losses) == (2, 0)
    first, second = map(int, lines_of(ledger))
    assert first != second


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_the_heart_beats_while_a_step_runs_for_longer_than_a_lease(service: Service, employ: Employ, pool: str) -> None:
    one, other = employ(processes=1, pool=pool), employ(processes=1, pool=pool)
    ledger, gate = service.path(), service.path()
    operation = service.start("held", ledger=ledger, gate=gate)
    wait_for(lambda: len(lines_of(ledger)) == 1)

    before = {worker.id: worker.seen_at for worker in service.workers()}
    wait_for(lambda: all(worker.seen_at - before[worker.id] > 2 * service.engine.lease for worker in service.workers()))
    Path(gate).touch()

    assert service.ended(operation).result == "3"
    assert [step.losses for step in service.steps(operation).values()] == [0, 0, 0]
    assert (one.process.poll(), other.process.poll()) == (None, None)


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_a_step_of_a_worker_without_a_pool_of_processes_is_recovered_too(
    service: Service, employ: Employ, pool: str
) -> None:
    first, ledger, gate = employ(processes=1, pool=pool), service.path(), service.path()
    operation = service.start("held", ledger=ledger, gate=gate)
    wait_for(lambda: len(lines_of(ledger)) == 1)

    first.kill()
    employ(processes=1, pool=pool)
    wait_for(lambda: len(lines_of(ledger)) == 2)
    Path(gate).touch()

    assert service.ended(operation).result == "3"
    assert service.steps(operation)["run_at"].losses == 1


def test_a_short_wait_for_a_retry_is_over_before_the_next_sweep(service: Service, employ: Employ) -> None:
    employ(processes=1, lease=600)  # its sweeps are two seconds apart

    operation = service.start("soon", ledger=(ledger := service.path()))

    assert service.ended(operation).result == "1"
    first, second = map(float, lines_of(ledger))
    assert second - first >= 0.1
