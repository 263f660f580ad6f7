"""Short steps beside each other are claimed several at a time, and whatever stops one finds the others not begun."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from app.domain.states import Completion, StepState
from app.execution import batch, late_writer, pace, settling_surely, slices
from app.execution.losing import take_from
from app.execution.pace import Pace
from app.execution.publishing import _AT_ONCE, Publisher
from app.execution.republishing import publish_due
from app.execution.settling import settle
from app.execution.siblings import AT_ONCE
from app.store.claims import held_claims
from app.store.operations import completion_of
from tests.execution.flows import lines_of
from tests.execution.service import wait_for
from tests.execution.test_settling_surely import LOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.store.claims import HeldClaim
    from tests.execution.service import Service

    Held = tuple[int, list[HeldClaim], Callable[[], None]]
    ByHand = Callable[..., Service]

WIDTH = 40
_S = StepState


@pytest.fixture
def make(by_hand: ByHand, monkeypatch: pytest.MonkeyPatch) -> ByHand:
    """Make a service in a process that has measured the steps to be short, on a machine that may be slow."""
    monkeypatch.setattr(slices, "_pace", Pace())
    monkeypatch.setattr(late_writer, "LATEST", 60.0)
    monkeypatch.setattr(pace, "SHORT", 600.0)

    def made(**settings: Any) -> Service:
        service = by_hand(**settings)
        for _ in range(3):
            service.start("abreast", ledger=service.path(), width=2)
            service.deliver_all()
        return service

    return made


@pytest.fixture
def service(make: ByHand) -> Service:
    return make()


def start(service: Service, **arguments: Any) -> tuple[int, str]:
    """An operation with so many steps beside each other, and the file that they leave their marks in."""
    ledger = service.path()
    return service.start("abreast", ledger=ledger, width=WIDTH, **arguments), ledger


def opened(service: Service) -> list[str]:
    """Six gates that are open, and were passed so often that waiting at them is known to be short."""
    gates = [service.path() for _ in range(6)]
    for gate in gates:
        Path(gate).touch()
    for _ in range(3):
        service.start("abreast-gates", gates=gates)
        service.deliver_all()
    return gates


def standings(service: Service, operation: int) -> Counter[StepState]:
    return Counter(service.states(operation).values())


def test_one_delivery_runs_all_of_them_and_claims_them_in_few_transactions(service: Service) -> None:
    operation, ledger = start(service)

    service.deliver()

    assert service.show(operation).result == str(sum(range(WIDTH)))
    assert lines_of(ledger) == [str(name) for name in range(WIDTH)]
    assert {step.runs for step in service.steps(operation).values()} == {1}
    settles = 1 + -(-(WIDTH - 1) // AT_ONCE) + 1
    assert service.show(operation).version == 1 + 1 + settles


def test_of_many_the_first_are_published_and_what_is_left_of_the_others_a_little_later(service: Service) -> None:
    before = service.sent()
    operation = service.start("abreast", ledger=service.path(), width=_AT_ONCE + 10)

    assert service.sent() - before == _AT_ONCE
    service.change("UPDATE steps SET due_at = 0 WHERE due_at < (SELECT max(due_at) FROM steps)")
    publish_due(service.engine)
    assert service.sent() - before == _AT_ONCE + 10
    service.deliver_all()
    assert service.completion(operation) is Completion.COMPLETED


def test_messages_of_those_that_have_run_do_nothing(service: Service) -> None:
    operation, ledger = start(service)

    service.deliver_all()

    assert len(lines_of(ledger)) == WIDTH
    assert service.moves(operation) == ["SCHEDULED", "IN PROGRESS", "COMPLETED"]


@pytest.mark.parametrize(("stop", "end", "rest"), [
    ("pause", Completion.PAUSED, _S.PAUSED),
    ("cancel", Completion.CANCELLED, _S.CANCELLED),
])  # fmt: skip
def test_what_stops_the_operation_finds_the_others_not_begun(
    service: Service, stop: str, end: Completion, rest: StepState
) -> None:
    operation, ledger = start(service, stop=stop)

    service.deliver_all()

    assert service.completion(operation) is end
    assert lines_of(ledger) == ["0", "1", "2", "3"]
    assert {slug: step.runs for slug, step in service.steps(operation).items() if step.state is rest} == {
        slug: 0 for slug in list(service.steps(operation))[4:] if service.states(operation)[slug] is rest
    }
    assert standings(service, operation)[_S.SUCCESS] == 4
    assert standings(service, operation)[_S.RUNNING] == 0


def test_after_a_pause_between_them_each_has_run_once(service: Service) -> None:
    operation, ledger = start(service, stop="pause")
    service.deliver_all()

    service.resume(operation)
    service.deliver_all()

    assert service.show(operation).result == str(sum(range(WIDTH)))
    assert sorted(map(int, lines_of(ledger))) == list(range(WIDTH))


def test_one_that_fails_is_recorded_and_the_others_run_all_the_same(service: Service) -> None:
    operation, ledger = start(service, stop="fail")

    service.deliver_all()

    assert service.error(operation)["message"] == "the fourth fails"
    assert standings(service, operation) == {_S.SUCCESS: WIDTH - 1, _S.FAILED: 1, _S.TRIGGER_FAILED: 1}
    assert len(lines_of(ledger)) == WIDTH


def test_a_delivery_whose_budget_is_spent_lets_another_go_on(make: ByHand) -> None:
    service = make(slice_steps=20)
    operation, ledger = start(service)
    service.queue.ltrim("operations", -1, -1)  # the oldest alone

    assert service.deliver_all() == 3
    assert service.completion(operation) is Completion.COMPLETED
    assert len(lines_of(ledger)) == WIDTH


def test_one_that_is_to_wait_is_not_handed_on_by_a_delivery_whose_budget_is_spent(make: ByHand) -> None:
    service = make(slice_steps=WIDTH)
    ledger = service.path()
    operation = service.start("abreast-timed", ledger=ledger, width=WIDTH)

    service.deliver_all()

    assert len(lines_of(ledger)) == WIDTH
    assert standings(service, operation) == {_S.SUCCESS: WIDTH, _S.QUEUED: 1, _S.PENDING: 1}


def test_what_waits_behind_one_that_takes_its_time_is_given_back(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates = opened(service)
    monkeypatch.setattr(late_writer, "LATEST", 0.001)
    Path(gates[2]).unlink()
    operation = service.start("abreast-gates", gates=gates)
    service.queue.ltrim("operations", -1, -1)

    with ThreadPoolExecutor(1) as worker:
        delivery = worker.submit(service.deliver)
        service.wait_for_step(operation, "wait_at-3", _S.RUNNING)
        wait_for(lambda: service.messages() == 3)
        service.deliver_all()
        assert standings(service, operation) == {_S.SUCCESS: 5, _S.RUNNING: 1, _S.PENDING: 1}
        Path(gates[2]).touch()
        delivery.result()
        worker.submit(service.engine.database.close).result()

    service.deliver_all()
    assert service.show(operation).result == "6"
    assert {step.runs for step in service.steps(operation).values()} == {1}


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


def test_where_no_loss_is_forgiven_a_worker_holds_one_at_a_time(make: ByHand) -> None:
    service = make(max_losses=1)
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


def test_a_commit_that_gave_no_answer_is_gone_on_from_as_it_was_decided(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settled_without_an_answer(*given: Any, **options: Any) -> None:
        settle(*given, **options)
        raise LOST

    monkeypatch.setattr(settling_surely, "settle", settled_without_an_answer)
    operation, ledger = start(service)

    service.deliver_all()

    assert service.show(operation).result == str(sum(range(WIDTH)))
    assert len(lines_of(ledger)) == WIDTH
