"""Starting: the operation with all its steps is written whole, then its first steps are published, ids only."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from pausable.clock import frozen_at
from pausable.errors import CanvasRefused, IdempotencyKeyReused
from pausable.model.states import Completion, StepState
from pausable.worker.sweeper import sweep
from tests.deadlines import WAIT
from tests.execution.flows import UNFIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]


@pytest.fixture
def service(by_hand: ByHand) -> Service:
    return by_hand()


def count_of(service: Service, table: str) -> int:
    with service.engine.database.read() as tx:
        count: int = tx.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()  # noqa: S608
        return count


def test_a_started_operation_has_all_its_steps_and_edges_before_any_runs(service: Service) -> None:
    operation = service.start("fan", width=3)

    started = service.show(operation)
    assert (started.completion, started.version, started.started_at) == (Completion.SCHEDULED, 1, None)
    assert (started.steps_total, started.steps_left) == (5, 5)
    queued, pending = StepState.QUEUED, StepState.PENDING
    assert list(service.states(operation).values()) == [queued, pending, pending, pending, pending]
    assert count_of(service, "edges") == 6


def test_a_message_holds_ids_and_nothing_else(service: Service) -> None:
    operation = service.start("adding", numbers=[10**12] * 100)

    assert service.take() == [operation, 0]


def test_every_step_that_waits_for_none_gets_a_message(service: Service) -> None:
    operation = service.start("shape", shape="chord", ledger=service.path())

    assert [service.take() for _ in range(service.messages())] == [[operation, number] for number in range(3)]


def test_a_workflow_that_asks_for_it_is_given_its_operations_id(service: Service) -> None:
    service.start("adding", numbers=[1])
    operation = service.start("shape", shape="chain", ledger=service.path())

    assert f'"operation_id": {operation}' in service.steps(operation)["tell-1"].signature.replace('":', '": ')


def test_a_first_step_with_a_countdown_is_published_when_that_is_over(service: Service) -> None:
    with frozen_at(time.time()) as clock:
        operation = service.start("later")
        assert service.messages() == 0
        clock.advance(60)
        sweep(service.engine)

        service.deliver_all()

    assert service.show(operation).result == "2"


@pytest.mark.parametrize("kind", UNFIT)
def test_a_canvas_that_no_operation_can_run_is_refused_by_name_and_nothing_is_kept(service: Service, kind: str) -> None:
    with pytest.raises(CanvasRefused, match=UNFIT[kind][1]):
        service.start("unfit", kind=kind)

    assert [count_of(service, table) for table in ("operations", "steps", "edges", "events")] == [0] * 4
    assert service.messages() == 0


def test_the_same_key_again_gives_the_same_operation(service: Service) -> None:
    start = service.commands.start

    first, is_new = start(service.ada, "adding", {"numbers": [1]}, idempotency_key="k")
    again, is_new_again = start(service.ada, "adding", {"numbers": [1]}, idempotency_key="k")

    assert (is_new, is_new_again) == (True, False)
    assert again == first
    assert service.messages() == 1


def test_the_same_key_for_something_else_is_refused(service: Service) -> None:
    service.commands.start(service.ada, "adding", {"numbers": [1]}, idempotency_key="k")

    with pytest.raises(IdempotencyKeyReused):
        service.commands.start(service.ada, "adding", {"numbers": [2]}, idempotency_key="k")

    assert count_of(service, "operations") == 1


def test_of_two_starts_at_once_under_one_key_one_starts_an_operation(service: Service) -> None:
    together = Barrier(2, timeout=WAIT)

    def start(_: int) -> tuple[int, bool]:
        together.wait()
        view, is_new = service.commands.start(service.ada, "adding", {"numbers": [1]}, idempotency_key="k")
        service.engine.database.close()
        return view.operation.id, is_new

    with ThreadPoolExecutor(2) as clients:
        answers = sorted(clients.map(start, range(2)))

    assert answers == [(answers[0][0], False), (answers[0][0], True)]
    assert (count_of(service, "operations"), service.messages()) == (1, 1)
