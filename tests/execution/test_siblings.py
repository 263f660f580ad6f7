"""Short steps beside each other are claimed several at a time, and whatever stops one finds the others not begun."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pausable.engine import settle as settling_surely
from pausable.engine.dispatch import publish_due
from pausable.engine.publish import _AT_ONCE
from pausable.engine.settle import AT_ONCE, settle
from pausable.model.states import Completion, StepState
from tests.execution.abreast import WIDTH, opened, standings, start
from tests.execution.flows import lines_of
from tests.execution.service import wait_for
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


def test_a_delivery_whose_budget_is_spent_lets_another_go_on(make_quick: ByHand) -> None:
    service = make_quick(slice_steps=20)
    operation, ledger = start(service)
    service.queue.ltrim("operations", -1, -1)  # the oldest alone

    assert service.deliver_all() == 3
    assert service.completion(operation) is Completion.COMPLETED
    assert len(lines_of(ledger)) == WIDTH


def test_one_that_is_to_wait_is_not_handed_on_by_a_delivery_whose_budget_is_spent(make_quick: ByHand) -> None:
    service = make_quick(slice_steps=WIDTH)
    ledger = service.path()
    operation = service.start("abreast-timed", ledger=ledger, width=WIDTH)

    service.deliver_all()

    assert len(lines_of(ledger)) == WIDTH
    assert standings(service, operation) == {_S.SUCCESS: WIDTH, _S.QUEUED: 1, _S.PENDING: 1}


def test_what_waits_behind_one_that_takes_its_time_is_given_back(service: Service) -> None:
    gates = opened(service)
    service.engine.pace.latest = 0.001
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
