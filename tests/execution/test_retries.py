"""Steps that ask to be run again: as Celery documents it, with the times kept in the table."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from pausable.clock import frozen_at
from pausable.db.claims import next_due
from pausable.model.states import Completion, StepState
from pausable.worker.sweeper import sweep
from tests.execution.flows import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]


def test_retries_are_counted_and_end_as_celery_says(service: Service) -> None:
    file = service.path()
    kinds = ["none", "twice", "other arguments", "automatic", "own base class"]

    operations = [service.start("retrying", kind=kind, file=file) for kind in kinds]

    results = [json.loads(service.ended(operation).result or "null") for operation in operations]
    assert results == [3, 5, [4, 7], 2, 3]
    assert sorted(lines_of(file)) == ["0", "0", "1", "2"]


@pytest.mark.parametrize(
    ("kind", "slug", "error", "runs"),
    [("too often", "again", "MaxRetriesExceededError", 4), ("automatic, too often", "looked_up", "LookupError", 3)],
)
def test_a_step_that_asks_too_often_fails(by_hand: ByHand, kind: str, slug: str, error: str, runs: int) -> None:
    service = by_hand()
    operation = service.start("retrying", kind=kind, file=service.path())

    while service.deliver_all():
        sweep(service.engine)

    assert service.error(operation)["type"] == error
    step = service.steps(operation)[slug]
    assert (step.state, step.runs, step.losses) == (StepState.FAILED, runs, 0)


def test_a_retry_waits_for_its_countdown(by_hand: ByHand) -> None:
    service = by_hand()
    with frozen_at(time.time()) as clock:
        operation = service.start("retrying", kind="later")
        service.deliver()
        assert service.states(operation)["again_later"] is StepState.RETRYING

        clock.advance(59)
        sweep(service.engine)
        assert service.messages() == 0
        clock.advance(1)
        sweep(service.engine)

        assert service.deliver_all() == 1
        assert service.show(operation).result == "3"


def test_a_retry_at_a_time_without_a_zone_waits_for_it_as_in_utc(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    service = by_hand()
    operation = service.start("retrying", kind="at a time")

    service.deliver()

    monkeypatch.undo()
    time.tzset()
    due = service.steps(operation)["again_at"].due_at or 0.0
    assert due - time.time() == pytest.approx(60, abs=30)


def test_the_history_tells_of_a_retry(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("retrying", kind="later")

    service.deliver()

    told = [(event.step, event.old, event.new) for event in service.commands.events(service.ada, operation)]
    assert ("again_later", "Running", "Retrying") in told


def test_a_step_is_called_with_the_arguments_that_its_retry_gave_also_after_a_pause(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("retrying", kind="other arguments")
    service.deliver()

    service.pause(operation)
    first, *_ = service.document(operation)["chain"]
    assert (first["args"], first["kwargs"], first["immutable"]) == ([4], {"other": 7}, True)

    service.resume(operation)
    sweep(service.engine)
    service.deliver_all()
    assert service.show(operation).result == "[4,7]"


def test_a_pause_takes_effect_at_once_while_a_step_waits_for_its_retry(by_hand: ByHand) -> None:
    service = by_hand()
    with frozen_at(time.time()) as clock:
        operation = service.start("retrying", kind="later")
        service.deliver()

        service.pause(operation)
        assert service.completion(operation) is Completion.PAUSED
        assert service.document(operation)["result"] == 3
        clock.advance(60)
        sweep(service.engine)
        assert service.messages() == 0

        service.resume(operation)
        clock.advance(60)
        sweep(service.engine)
        service.deliver_all()
        assert service.show(operation).result == "3"


def test_a_paused_operation_with_a_retry_that_is_due_wakes_nobody(by_hand: ByHand) -> None:
    service = by_hand()
    with frozen_at(time.time()) as clock:
        operation = service.start("retrying", kind="later")
        service.deliver()
        service.pause(operation)
        clock.advance(60)

        with service.engine.database.read() as tx:
            assert next_due(tx) is None


def test_a_resume_does_not_bring_a_retry_forward(by_hand: ByHand) -> None:
    service = by_hand()
    with frozen_at(time.time()) as clock:
        operation = service.start("retrying", kind="later")
        service.deliver()
        service.pause(operation)

        service.resume(operation)
        clock.advance(59)
        sweep(service.engine)

        assert service.messages() == 0
        assert service.states(operation)["again_later"] is StepState.RETRYING


def test_a_cancel_ends_a_step_that_waits_for_its_retry(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("retrying", kind="later")
    service.deliver()

    service.cancel(operation)

    assert service.completion(operation) is Completion.CANCELLED
    assert service.states(operation)["again_later"] is StepState.CANCELLED


@pytest.mark.parametrize("kind", ["countdown", "eta"])
def test_a_resume_does_not_bring_a_step_forward_that_waits_for_its_time(by_hand: ByHand, kind: str) -> None:
    service = by_hand()
    with frozen_at(time.time()) as clock:
        operation = service.start("apart", kind=kind)
        service.deliver()
        service.pause(operation)

        service.resume(operation)
        assert service.messages() == 0
        clock.advance(2)
        sweep(service.engine)

        assert service.deliver_all() == 2
        assert service.show(operation).result == "4"
