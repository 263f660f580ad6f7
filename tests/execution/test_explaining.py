"""Why an operation does not move: what it waits for, told from the tables of both kinds of database."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from pausable.engine.engine import WakeUp
from pausable.service.explain import explanation_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pausable.model.explanation import Cause
    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]


@pytest.fixture
def service(by_hand: ByHand) -> Service:
    """A service of which this process is the worker, on its queue and on `own`."""
    service = by_hand(slice_steps=1)
    service.engine.become_worker(WakeUp())
    service.engine.register(["operations"])
    return service


def causes(service: Service, operation: int) -> dict[str, Cause]:
    return {cause.kind: cause for cause in explanation_of(service.engine, operation).causes}


def test_a_step_that_waits_for_its_retry_is_told_with_the_moment_and_the_fault(service: Service) -> None:
    operation = service.start("own-retries", kind="patient", ledger=service.path())
    service.deliver()

    cause = causes(service, operation)["retry"]

    assert (cause.step, cause.why) == ("patient", "failure 1")
    assert cause.until == service.steps(operation)["patient"].due_at
    assert "patient is run again at 20" in cause.sentence
    assert not explanation_of(service.engine, operation).is_moving


def test_a_step_with_a_countdown_is_told_with_the_moment_of_its_start(service: Service) -> None:
    operation = service.start("later")

    cause = causes(service, operation)["scheduled"]

    assert cause.step == "same"
    assert cause.until is not None
    assert 50 < cause.until - time.time() < 60
    assert "queued" not in causes(service, operation)


def test_a_fan_in_names_the_branches_that_it_waits_for(service: Service) -> None:
    operation = service.start("fan", width=3)
    service.deliver()
    service.deliver()

    cause = causes(service, operation)["waiting"]

    assert (cause.step, cause.steps, cause.waits_for) == ("total", 2, ("add-2", "add-3"))
    assert cause.sentence == "total waits for add-2 (Queued), add-3 (Queued)."


def test_queued_steps_are_told_by_the_queue_that_their_calls_name(service: Service) -> None:
    operation = service.start("apart", kind="queue of the call")
    service.deliver()
    service.deliver()

    cause = causes(service, operation)["no_worker"]

    assert (cause.queue, cause.step, cause.since) == ("own", "same-2", None)
    assert cause.sentence == "same-2 is queued on 'own', where no worker has listened so far."


def test_queued_steps_of_one_queue_are_told_together(service: Service) -> None:
    operation = service.start("fan", width=100)
    service.deliver()

    cause = causes(service, operation)["queued"]

    assert (cause.step, cause.steps) == ("add-1", 100)
    assert cause.sentence.startswith("add-1 and 99 more are queued on 'operations', where 1 worker listens")


def test_a_worker_from_before_queues_were_told_may_listen_to_any(service: Service) -> None:
    operation = service.start("apart", kind="queue of the call")
    service.deliver()
    service.deliver()
    service.change("UPDATE workers SET queues = NULL")

    assert causes(service, operation)["queued"].queue == "own"


def test_what_ran_to_its_end_is_told_so(service: Service) -> None:
    operation = service.start("adding", numbers=[1, 2])
    service.deliver_all()

    found = explanation_of(service.engine, operation)

    assert [cause.kind for cause in found.causes] == ["finished"]
    assert found.summary.startswith("It has ended well since 20")
