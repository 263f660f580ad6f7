"""A commit that ends in an error: whether it was written is read from the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import OperationalError

from pausable.db.database import DriverError
from pausable.db.steps import list_steps
from pausable.engine import settle as settling_surely
from pausable.engine.claim import claim
from pausable.engine.outcome import Ended, Ending
from pausable.engine.settle import Settled, settle
from pausable.model.states import Completion, StepState

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from pausable.db.transitions import StepTask
    from tests.execution.service import Service

LOST = OperationalError("COMMIT", {}, DriverError("disk I/O error"))


def test_a_step_whose_commit_gave_no_answer_but_was_written_is_not_run_again(
    by_hand: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = by_hand()

    def settled_without_an_answer(*given: Any, **options: Any) -> None:
        settle(*given, **options)
        raise LOST

    monkeypatch.setattr(settling_surely, "settle", settled_without_an_answer)
    operation = service.start("adding", numbers=[1, 2])
    service.deliver_all()

    assert service.wait_until(operation, Completion.COMPLETED).steps_done == 2
    with service.engine.database.glance() as tx:
        assert {step.runs for step in list_steps(tx, operation)} == {1}


def test_a_step_that_the_database_did_not_take_is_recorded_once_it_does_and_not_run_again(
    by_hand: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = by_hand()
    faults = [LOST, LOST]

    def rolled_back_twice(*given: Any, **options: Any) -> Settled:
        if faults:
            raise faults.pop()
        return settle(*given, **options)

    monkeypatch.setattr(settling_surely, "settle", rolled_back_twice)
    operation = service.start("adding", numbers=[1, 2])
    service.deliver_all()

    assert not faults
    assert service.wait_until(operation, Completion.COMPLETED).steps_done == 2
    with service.engine.database.glance() as tx:
        assert {step.runs for step in list_steps(tx, operation)} == {1}


def test_a_step_whose_settling_breaks_for_good_fails_after_so_many_losses(
    by_hand: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = by_hand()
    taken_over: list[str] = []

    def broken_until_taken_over(engine: Any, operation_id: int, ended: Any, **options: Any) -> Settled:
        if ended[0].step.losses < 3:  # neither as it ended nor as failed
            raise ValueError("a fault of the code")
        taken_over.append(ended[0].step.slug)
        return settle(engine, operation_id, ended, **options)

    monkeypatch.setattr(settling_surely, "settle", broken_until_taken_over)
    operation = service.start("adding", numbers=[1, 2])
    service.deliver_all()

    assert taken_over == ["same"]
    assert service.error(operation)["message"] == "a fault of the code"
    assert service.steps(operation)["same"].losses == 3


def test_what_others_made_meanwhile_of_a_step_that_was_given_back_leaves_no_doubt_about_the_rest(
    by_hand: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = by_hand()
    operation = service.start("abreast", ledger=service.path(), width=2)
    mine, back = (claimed(service, operation, number) for number in (0, 1))

    def settled_without_an_answer(*given: Any, **options: Any) -> None:
        settle(*given, **options)
        claimed(service, operation, back.number)
        raise LOST

    monkeypatch.setattr(settling_surely, "settle", settled_without_an_answer)
    ended = [
        Ended(mine, Ending(StepState.SUCCESS, "1"), True, 1.0, 2.0),
        Ended(back, Ending(StepState.QUEUED), True, None, 2.0),
    ]

    settled = settling_surely.settle_and_confirm(service.engine, operation, ended)

    assert settled.publish == (back,)


def claimed(service: Service, operation: int, number: int) -> StepTask:
    """A step that somebody has just claimed."""
    step = claim(service.engine, operation, number)
    assert step
    return step
