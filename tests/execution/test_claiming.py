"""Who may run a step: one claim wins, every older one writes nothing, and a clause is asked before the claim."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from pausable.db.transitions import claim_step
from pausable.engine import claim as claiming
from pausable.engine.claim import claim, claim_and_confirm
from pausable.model.states import Completion, StepState
from tests.deadlines import WAIT
from tests.execution.flows import lines_of
from tests.execution.test_settling_surely import LOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from pausable.db.transitions import StepTask
    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]


@pytest.fixture
def service(by_hand: ByHand) -> Service:
    return by_hand()


def test_a_step_that_is_delivered_twice_runs_once(service: Service) -> None:
    ledger = service.path()
    operation = service.start("shape", shape="chain", ledger=ledger)
    message = service.take()

    service.deliver_step(*message)
    service.deliver_step(*message)

    assert lines_of(ledger) == ["a", "b", "c", "d"]
    assert service.completion(operation) is Completion.COMPLETED


def test_a_delivery_to_a_paused_operation_is_refused_and_changes_nothing(service: Service) -> None:
    operation = service.start("adding", numbers=[1, 2])
    service.pause(operation)
    before = service.show(operation), service.steps(operation)

    service.deliver()

    assert (service.show(operation), service.steps(operation)) == before


def test_a_message_about_nothing_does_nothing(service: Service) -> None:
    operation = service.start("adding", numbers=[1, 2])

    service.deliver_step(operation + 1, 0)
    service.deliver_step(operation, 99)

    assert service.completion(operation) is Completion.SCHEDULED


def test_a_step_that_waits_for_another_is_not_claimed(service: Service) -> None:
    operation = service.start("adding", numbers=[1, 2])

    assert claim(service.engine, operation, 1) is None
    assert service.states(operation)["add"] is StepState.PENDING


def test_of_two_workers_that_claim_a_step_at_once_one_wins(service: Service) -> None:
    operation = service.start("adding", numbers=[1, 2])
    together = Barrier(2, timeout=WAIT)

    def try_to_claim() -> int | None:
        together.wait()
        step = claim(service.engine, operation, 0)
        service.engine.database.close()
        return step.claim if step else None

    with ThreadPoolExecutor(2) as workers:
        claims = [one.result() for one in [workers.submit(try_to_claim) for _ in range(2)]]

    assert sorted(claims, key=str) == [1, None]
    assert service.steps(operation)["same"].runs == 1


def test_a_clause_is_asked_once_with_the_value_that_arrives(service: Service) -> None:
    ledger = service.path()
    operation = service.start("clause", ledger=ledger, answers=[False])

    service.deliver_all()

    assert service.show(operation).result == "12"
    assert lines_of(ledger) == ["1"]


def test_a_clause_that_says_pause_pauses_and_is_not_asked_again_after_the_resume(service: Service) -> None:
    ledger = service.path()
    operation = service.start("clause", ledger=ledger, answers=[True])

    service.deliver_all()
    assert service.completion(operation) is Completion.PAUSED
    assert service.show(operation).reason == "the pause point before add-1 asked for it"
    service.resume(operation)
    service.deliver_all()

    assert service.show(operation).result == "12"
    assert lines_of(ledger) == ["1"]


def test_a_callback_of_the_authors_own_is_given_the_value_and_what_remains(service: Service) -> None:
    ledger = service.path()
    operation = service.start("clause", ledger=ledger, answers=[True])

    service.deliver_all()

    assert [json.loads(line) for line in lines_of(f"{ledger}.kept")] == [[1, ["add", "add"]]]
    assert service.document(operation)["result"] == 1


def test_a_callback_is_called_too_when_a_person_pauses_at_its_point(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=1)
    ledger = service.path()
    operation = service.start("clause", ledger=ledger, answers=[False])
    service.deliver()

    service.pause(operation)

    assert [json.loads(line) for line in lines_of(f"{ledger}.kept")] == [[1, ["add", "add"]]]
    assert service.completion(operation) is Completion.PAUSED


@pytest.mark.parametrize("answer", [False, True])
def test_a_group_behind_a_clause_waits_for_one_answer(service: Service, answer: bool) -> None:
    ledger = service.path()
    operation = service.start("clause-and-group", ledger=ledger, answers=[answer])

    service.deliver_all()
    if answer:
        assert {state for slug, state in service.states(operation).items() if "add" in slug} == {StepState.PAUSED}
        service.resume(operation)
        service.deliver_all()

    assert service.show(operation).result == "9"
    assert lines_of(ledger) == ["1"]


def test_every_clause_that_is_reached_at_once_is_asked(service: Service) -> None:
    ledgers = [service.path(), service.path()]
    operation = service.start("two-clauses", ledgers=ledgers)

    service.deliver_all()

    assert service.show(operation).result == "10"
    assert [lines_of(ledger) for ledger in ledgers] == [["1"], ["1"]]


def test_a_clause_that_raises_in_two_workers_at_once_fails_what_waits_behind_it(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = by_hand(slice_steps=1)
    operation = service.start("broken-clause")
    service.deliver()
    beside, behind = service.take(), service.take()
    fail = claiming._fail

    def fail_twice(*given: Any) -> None:
        fail(*given)
        fail(*given)

    monkeypatch.setattr(claiming, "_fail", fail_twice)
    service.deliver_step(*behind)
    service.deliver_step(*beside)

    assert service.error(operation)["message"] == "the answer is not to be had"


def test_steps_behind_a_clause_that_raises_fail_with_its_error(service: Service) -> None:
    operation = service.start("broken-clause")

    service.deliver_all()

    error = service.error(operation)
    assert (error["step"], error["type"], error["message"]) == ("add-1", "LookupError", "the answer is not to be had")
    assert "in broken" in error["traceback"]
    failed, success = StepState.FAILED, StepState.SUCCESS
    states = service.states(operation)
    assert [states[slug] for slug in ("add-1", "add-2", "add-3")] == [failed, failed, success]


def test_after_a_doubt_a_step_that_another_slice_here_has_taken_is_not_taken_for_ones_own(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.start("shape", shape="chain", ledger=service.path())
    operation, number = service.take()
    others = [1.0]

    def lost_to_another(*given: Any) -> StepTask | None:
        if not others:
            return claim(*given)
        with service.engine.database.write() as tx:
            claim_step(tx, operation, number, service.engine.holder(), others.pop())
        given[-1].append(2.0)
        raise LOST

    monkeypatch.setattr(claiming, "claim", lost_to_another)

    assert claim_and_confirm(service.engine, operation, number) is None
