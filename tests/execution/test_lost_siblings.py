"""What becomes of steps that are claimed together when a claim is taken away, or the database is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pausable.db.claims import held_claims
from pausable.db.operations import completion_of
from pausable.engine import batch
from pausable.engine.publish import Publisher
from pausable.engine.release import take_from
from pausable.model.states import Completion, StepState
from tests.execution.abreast import WIDTH, opened, standings, start
from tests.execution.flows import lines_of
from tests.execution.test_settling_surely import LOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from pausable.db.claims import HeldClaim
    from tests.execution.service import Service

if TYPE_CHECKING:
    Held = tuple[int, list[HeldClaim], Callable[[], None]]
    ByHand = Callable[..., Service]

_S = StepState


@pytest.fixture
def service(make_quick: ByHand) -> Service:
    return make_quick()


def test_claims_that_another_took_away_while_one_runs_are_given_up(service: Service) -> None:
    gates = opened(service)
    Path(gates[2]).unlink()
    operation = service.start("abreast-gates", gates=gates)

    with ThreadPoolExecutor(1) as worker:
        delivery = worker.submit(service.deliver)
        service.wait_for_step(operation, "wait_at-3", _S.RUNNING)
        service.change("UPDATE steps SET claim = claim + 1 WHERE operation_id = ? AND state = 'Running'", operation)
        Path(gates[2]).touch()
        delivery.result()
        worker.submit(service.engine.database.close).result()

    assert standings(service, operation)[_S.SUCCESS] == 1
    assert standings(service, operation)[_S.RUNNING] == 5


def held_at_a_gate(service: Service, worker: ThreadPoolExecutor) -> Held:
    """An operation whose third step waits at a gate, the claims that its delivery holds, and how that is let go on."""
    gates = opened(service)
    Path(gates[2]).unlink()
    operation = service.start("abreast-gates", gates=gates)
    delivery = worker.submit(service.deliver)
    service.wait_for_step(operation, "wait_at-3", _S.RUNNING)
    with service.engine.database.glance() as tx:
        held = held_claims(tx)

    def go_on() -> None:
        Path(gates[2]).touch()
        delivery.result()
        worker.submit(service.engine.database.close).result()

    return operation, held, go_on


def test_what_is_held_beside_a_claim_that_another_took_away_is_given_back(service: Service) -> None:
    with ThreadPoolExecutor(1) as worker:
        operation, held, go_on = held_at_a_gate(service, worker)
        take_from(service.engine, held[0], "ada", "by hand")
        go_on()

    assert standings(service, operation)[_S.RUNNING] == 0
    service.deliver_all()
    assert service.show(operation).result == "6"


def test_a_pause_that_takes_the_claims_away_one_by_one_takes_effect(service: Service) -> None:
    with ThreadPoolExecutor(1) as worker:
        operation, held, go_on = held_at_a_gate(service, worker)
        service.pause(operation)
        take_from(service.engine, held[0], "ada", "at once")
        go_on()
        for one in held[1:]:
            take_from(service.engine, one, "ada", "at once")

    assert service.completion(operation) is Completion.PAUSED


def test_where_no_loss_is_forgiven_a_worker_holds_one_at_a_time(make_quick: ByHand) -> None:
    service = make_quick(max_losses=1)
    with ThreadPoolExecutor(1) as worker:
        operation, held, go_on = held_at_a_gate(service, worker)
        go_on()

    assert [one.slug for one in held] == ["wait_at-3"]
    assert service.show(operation).result == "6"


def test_what_was_claimed_by_a_settle_that_nothing_can_follow_is_given_back(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation, _ledger = start(service)
    publish, faults = Publisher.publish, [ValueError("a fault of the code")]

    def broken_once(*given: Any) -> None:
        if faults:
            raise faults.pop()
        publish(*given)

    monkeypatch.setattr(Publisher, "publish", broken_once)
    service.deliver()

    assert standings(service, operation)[_S.RUNNING] == 0


def test_an_outage_between_two_of_them_has_none_run_again(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = [LOST]

    def once_out_of_reach(*given: Any) -> Completion | None:
        if faults:
            raise faults.pop()
        return completion_of(*given)

    monkeypatch.setattr(batch, "completion_of", once_out_of_reach)
    operation, ledger = start(service)

    service.deliver_all()

    assert not faults
    assert service.completion(operation) is Completion.COMPLETED
    assert len(lines_of(ledger)) == WIDTH
    assert {(step.runs, step.losses) for step in service.steps(operation).values()} == {(1, 0)}
