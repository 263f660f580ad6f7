"""Starting at a time and pausing until one: the service does it itself, unless a person has said otherwise since."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pausable import clock
from pausable.db.operations import next_due_operation
from pausable.engine.claim import claim
from pausable.model.states import Completion, StepState
from pausable.worker.sweeper import SERVICE, sweep

if TYPE_CHECKING:
    from collections.abc import Callable

    from pausable.db.history import Event
    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

_C = Completion
HOUR = 3600.0
#: When tests on a clock that stands still begin.
DAWN = 1_800_000_000.0


def start_later(service: Service, seconds: float) -> int:
    """Start an operation that is to start so many seconds from now."""
    view, _ = service.commands.start(service.ada, "adding", {"numbers": [1, 2, 3]}, start_at=clock.now() + seconds)
    return view.operation.id


def pause_for(service: Service, operation: int, seconds: float | None) -> bool:
    resume_at = None if seconds is None else clock.now() + seconds
    return service.commands.pause(service.ada, operation, resume_at=resume_at)[1]


def history(service: Service, operation: int) -> list[Event]:
    return [event for event in service.commands.events(service.ada, operation) if event.step is None]


def test_no_step_runs_before_the_time_to_start(by_hand: ByHand) -> None:
    service = by_hand()

    with clock.frozen_at(DAWN) as time:
        operation = start_later(service, HOUR)
        time.advance(HOUR - 1)
        sweep(service.engine)
        service.deliver_step(operation, 0)  # a message from nowhere

        assert service.messages() == 0
        assert service.completion(operation) is _C.SCHEDULED
        assert service.states(operation)["same"] is StepState.PAUSED


def test_at_its_time_a_sweep_starts_it_once(by_hand: ByHand) -> None:
    service = by_hand()

    with clock.frozen_at(DAWN) as time:
        operation = start_later(service, HOUR)
        time.advance(HOUR)
        sweep(service.engine)
        sweep(service.engine)

        assert service.deliver_all() == 1
    assert service.show(operation).result == "6"
    assert service.moves(operation) == ["SCHEDULED", "IN PROGRESS", "COMPLETED"]


def test_a_time_that_has_passed_means_now(by_hand: ByHand) -> None:
    service = by_hand()

    operation = start_later(service, -HOUR)

    assert service.show(operation).start_at is None
    assert service.deliver_all() == 1
    assert service.completion(operation) is _C.COMPLETED


def test_a_pause_lasts_until_its_time_and_then_the_service_resumes(by_hand: ByHand) -> None:
    service = by_hand()

    with clock.frozen_at(DAWN) as time:
        operation = service.start("adding", numbers=[1, 2, 3])
        pause_for(service, operation, HOUR)
        assert service.show(operation).resume_at == DAWN + HOUR
        time.advance(HOUR - 1)
        sweep(service.engine)
        assert service.completion(operation) is _C.PAUSED
        time.advance(1)
        sweep(service.engine)

    assert service.show(operation).resume_at is None
    assert [(event.who, event.why) for event in history(service, operation)[-3:]] == [
        ("ada", "until 2027-01-15 09:00:00Z"),
        ("worker", None),
        (SERVICE, "its time to go on has come"),
    ]
    service.deliver_all()
    assert service.completion(operation) is _C.COMPLETED


def test_a_pause_that_has_not_taken_effect_by_then_is_withdrawn(by_hand: ByHand) -> None:
    service = by_hand()

    with clock.frozen_at(DAWN) as time:
        operation = service.start("adding", numbers=[1, 2, 3])
        assert claim(service.engine, operation, 0)
        pause_for(service, operation, HOUR)
        time.advance(HOUR)
        sweep(service.engine)

    assert service.moves(operation)[-2:] == ["REQUESTING PAUSE", "IN PROGRESS"]


@pytest.mark.parametrize(("seconds", "then"), [(None, "until somebody resumes it"), (2 * HOUR, "10:00:00Z")])
def test_another_pause_by_a_person_takes_the_place_of_the_time(
    by_hand: ByHand, seconds: float | None, then: str
) -> None:
    service = by_hand()

    with clock.frozen_at(DAWN) as time:
        operation = service.start("adding", numbers=[1, 2, 3])
        pause_for(service, operation, HOUR)
        assert pause_for(service, operation, seconds)
        assert not pause_for(service, operation, seconds)
        time.advance(HOUR)
        sweep(service.engine)

        assert service.completion(operation) is _C.PAUSED
        assert str(history(service, operation)[-1].why).endswith(then)
        time.advance(HOUR)
        sweep(service.engine)
        assert service.completion(operation) is (_C.PAUSED if seconds is None else _C.IN_PROGRESS)


def test_a_resume_by_a_person_before_that_leaves_nothing_due(by_hand: ByHand) -> None:
    service = by_hand()

    with clock.frozen_at(DAWN) as time:
        operation = service.start("adding", numbers=[1, 2, 3])
        pause_for(service, operation, HOUR)
        service.resume(operation)
        pause_for(service, operation, None)
        time.advance(HOUR)
        sweep(service.engine)

    assert service.completion(operation) is _C.PAUSED
    with service.engine.database.read() as tx:
        assert next_due_operation(tx) is None


def test_paused_before_its_time_to_start_it_keeps_that_time_when_it_is_resumed(by_hand: ByHand) -> None:
    service = by_hand()

    with clock.frozen_at(DAWN) as time:
        operation = start_later(service, HOUR)
        service.pause(operation)
        assert service.completion(operation) is _C.PAUSED
        service.resume(operation)
        assert service.completion(operation) is _C.SCHEDULED
        assert service.messages() == 0
        time.advance(HOUR)
        sweep(service.engine)

        assert service.deliver_all() == 1
    assert service.completion(operation) is _C.COMPLETED


def test_resumed_after_its_time_to_start_it_starts_at_once(by_hand: ByHand) -> None:
    service = by_hand()

    with clock.frozen_at(DAWN) as time:
        operation = start_later(service, HOUR)
        service.pause(operation)
        time.advance(2 * HOUR)
        sweep(service.engine)
        assert service.completion(operation) is _C.PAUSED
        service.resume(operation)

    assert service.completion(operation) is _C.IN_PROGRESS
    assert service.deliver_all() == 1


def test_cancelled_before_its_time_it_never_starts(by_hand: ByHand) -> None:
    service = by_hand()

    with clock.frozen_at(DAWN) as time:
        operation = start_later(service, HOUR)
        service.cancel(operation)
        time.advance(HOUR)
        sweep(service.engine)

    assert service.completion(operation) is _C.CANCELLED
    assert service.messages() == 0


def test_what_cannot_be_resumed_at_its_time_says_why_once_and_is_tried_again(by_hand: ByHand) -> None:
    service = by_hand()

    with clock.frozen_at(DAWN) as time:
        operation = service.start("adding", numbers=[1, 2, 3])
        other = service.start("adding", numbers=[1])
        for one in (operation, other):
            pause_for(service, one, HOUR)
        document = Path(service.show(operation).workflow_store or "")
        content = document.read_bytes()
        document.unlink()
        for _ in range(3):
            time.advance(HOUR)
            sweep(service.engine)

        assert service.completion(operation) is _C.PAUSED
        assert "it could not be resumed at its time" in str(service.show(operation).reason)
        told = [event for event in history(service, operation) if event.who == SERVICE]
        assert len(told) == 1
        assert service.completion(other) is _C.IN_PROGRESS
        document.write_bytes(content)
        time.advance(HOUR)
        sweep(service.engine)
    assert service.completion(operation) is _C.IN_PROGRESS


def test_a_worker_starts_and_resumes_what_is_due(service: Service) -> None:
    later = start_later(service, 0.5)
    paused = start_later(service, 0.2)
    service.pause(paused)
    pause_for(service, paused, 0.7)

    for operation in (later, paused):
        assert service.ended(operation).result == "6"
    begun = service.show(later)
    assert begun.started_at is not None
    assert begun.start_at is not None
    assert begun.started_at >= begun.start_at
    assert SERVICE in [event.who for event in history(service, paused)]


def test_what_was_asked_for_outlives_all_workers(by_hand: ByHand) -> None:
    service = by_hand()
    later = start_later(service, 0.3)
    paused = service.start("adding", numbers=[1, 2, 3])
    pause_for(service, paused, 0.3)
    service.queue.flushdb()

    with service.working():
        assert service.ended(later).result == "6"
        assert service.ended(paused).result == "6"
