"""Steps that are known to be short share a transaction and a slice: faster, and nobody can tell otherwise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pausable.engine.batch import Batch
from pausable.engine.claim import claim
from pausable.engine.outcome import Ending
from pausable.errors import ClaimLost
from pausable.model.states import Completion, StepState
from tests.execution.flows import lines_of
from tests.execution.service import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from pausable.db.operations import Operation
    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]


@pytest.fixture
def service(by_hand: ByHand) -> Service:
    """A service that has not measured any task yet."""
    return by_hand()


@pytest.fixture
def patient(service: Service) -> None:
    """Let the timer sleep and call more of what was measured short, so that a slow machine does not matter."""
    service.engine.pace.latest = service.engine.pace.short = 60.0


def delivered(service: Service, workflow: str, **arguments: Any) -> Operation:
    """An operation after all its messages were delivered."""
    operation = service.start(workflow, **arguments)
    service.deliver_all()
    return service.show(operation)


def measure(service: Service, workflow: str, **arguments: Any) -> list[Operation]:
    """Run a workflow until its steps are known to be short."""
    return [delivered(service, workflow, **arguments) for _ in range(3)]


@pytest.mark.usefixtures("patient")
def test_what_is_known_to_be_short_shares_transactions_and_gives_the_same(service: Service) -> None:
    first, second, third = measure(service, "adding", numbers=[1] * 40)

    assert first.result == second.result == third.result == "40"
    assert third.version < first.version
    claimed_and_settled = 2
    assert delivered(service, "adding", numbers=[1] * 40).version == 1 + claimed_and_settled


@pytest.mark.usefixtures("patient")
def test_short_steps_beside_each_other_share_a_message(service: Service) -> None:
    measure(service, "fan", width=10)

    operation = service.start("fan", width=10)

    assert service.deliver_all() == 1
    assert service.show(operation).result == "45"


@pytest.mark.usefixtures("patient")
def test_a_pause_is_noticed_between_short_steps(service: Service) -> None:
    measure(service, "shape", shape="chain", ledger=service.path())
    ledger = service.path()

    operation = delivered(service, "shape", shape="chain", ledger=ledger, stop="b")

    assert operation.completion is Completion.PAUSED
    assert lines_of(ledger) == ["a", "b"]
    assert list(service.states(operation.id).values())[1:3] == [StepState.SUCCESS, StepState.PAUSED]


@pytest.mark.usefixtures("patient")
def test_a_batch_is_void_when_its_first_claim_is_lost(service: Service) -> None:
    measure(service, "usurped")

    operation = delivered(service, "usurped")

    steps = service.steps(operation.id).values()
    assert [step.state for step in steps] == [StepState.RUNNING, *[StepState.PENDING] * 3]
    assert [step.result for step in steps] == [None] * 4
    assert service.messages() == 0


@pytest.mark.usefixtures("patient")
def test_short_steps_before_one_that_fails_are_recorded_with_it(service: Service) -> None:
    measure(service, "failing")

    operation = delivered(service, "failing")

    assert service.error(operation.id)["step"] == "fail"
    assert next(iter(service.steps(operation.id).values())).result == "1"
    assert [step.runs for step in service.steps(operation.id).values()] == [1, 1, 0, 0]


@pytest.mark.usefixtures("patient")
def test_a_short_step_may_be_retried(service: Service) -> None:
    measure(service, "adding", numbers=[1, 2])

    operation = delivered(service, "retrying", kind="later")

    assert list(service.states(operation.id).values()) == [StepState.SUCCESS, StepState.RETRYING, StepState.PENDING]


@pytest.mark.usefixtures("patient")
def test_a_step_in_which_a_worker_was_lost_is_written_by_itself(service: Service) -> None:
    measure(service, "adding", numbers=[1] * 10)
    operation = service.start("adding", numbers=[1] * 10)
    service.change("UPDATE steps SET losses = 1 WHERE operation_id = ?", operation)

    service.deliver_all()

    assert service.show(operation).result == "10"
    assert service.show(operation).version == 1 + 1 + 10


def test_the_timer_writes_what_has_ended_while_a_long_step_runs(service: Service) -> None:
    gates = [service.path(), service.path()]
    for gate in gates:
        Path(gate).touch()
    measure(service, "gates", gates=gates)
    Path(gates[1]).unlink()
    operation = service.start("gates", gates=gates)

    with ThreadPoolExecutor(1) as worker:
        delivery = worker.submit(service.deliver)
        service.wait_for_step(operation, "wait_at-2", StepState.RUNNING)
        assert service.steps(operation)["wait_at-1"].result == "1"
        Path(gates[1]).touch()
        delivery.result()
        worker.submit(service.engine.database.close).result()

    assert service.show(operation).result == "1"


def test_the_timer_writes_what_has_ended_in_each_of_several_slices(service: Service) -> None:
    gates = [service.path(), service.path()]
    for gate in gates:
        Path(gate).touch()
    measure(service, "gates", gates=gates)
    Path(gates[1]).unlink()
    operations = [service.start("gates", gates=gates) for _ in range(3)]

    with ThreadPoolExecutor(3) as threads:
        deliveries = [threads.submit(service.deliver) for _ in operations]
        for operation in operations:
            service.wait_for_step(operation, "wait_at-2", StepState.RUNNING)
        Path(gates[1]).touch()
        for delivery in deliveries:
            delivery.result()
        for _ in range(9):
            threads.submit(service.engine.database.close).result()

    assert [service.show(operation).result for operation in operations] == ["1", "1", "1"]


def test_the_timer_publishes_what_became_ready_beside_a_long_step(service: Service) -> None:
    gates = [service.path() for _ in range(3)]
    for gate in gates:
        Path(gate).touch()
    measure(service, "wide-gate", gates=gates)
    Path(gates[0]).unlink()
    operation = service.start("wide-gate", gates=gates)

    with ThreadPoolExecutor(1) as worker:
        delivery = worker.submit(service.deliver)
        wait_for(lambda: service.messages() == 2)
        Path(gates[0]).touch()
        delivery.result()
        worker.submit(service.engine.database.close).result()

    service.deliver_all()
    assert service.show(operation).result == "3"


def test_a_step_whose_batch_the_timer_found_void_ends_without_a_trace(service: Service) -> None:
    operation = service.start("adding", numbers=[1, 2, 3])
    batch = Batch(service.engine, operation)
    first = claim(service.engine, operation, 0)
    assert first is not None
    batch.take_up(first, is_claimed=True)
    batch.finish(Ending(StepState.SUCCESS, result="1"))
    second = batch.next_nearby(lambda _completion, _step: True)
    assert second is not None
    batch.take_up(second, is_claimed=False)
    service.change("UPDATE steps SET claim = claim + 1 WHERE number = 0")

    batch.write_late()

    with pytest.raises(ClaimLost):
        batch.finish(Ending(StepState.SUCCESS, result="3"))
    assert [step.result for step in service.steps(operation).values()] == [None] * 3
