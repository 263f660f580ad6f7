"""Soft time limits are raised in an author's code and nowhere else, wherever in a slice the signal arrives."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pausable.engine.limits import soft_limit
from pausable.model.states import Completion, StepState
from tests.databases import both_when_long, on_sqlite_alone
from tests.execution.flows import lines_of
from tests.execution.service import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pausable.db.steps import StepRow
    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

database_kind = both_when_long()

#: Places behind the end of the code at which the signal is sent, one after the other.
PLACES = 120


def first_step(service: Service, operation: int) -> StepRow:
    return next(iter(service.steps(operation).values()))


@pytest.mark.parametrize("where", ["value", "after_return", "postrun", "handler"])
def test_a_limit_that_falls_due_once_the_code_has_returned_is_ignored(service: Service, where: str) -> None:
    ledger = service.path()

    operation = service.run("limited-at", where=where, ledger=ledger)

    assert (operation.completion, operation.result) == (Completion.COMPLETED, '{"a":1}')
    step = first_step(service, operation.id)
    assert (step.runs, step.losses) == (1, 0)
    assert lines_of(ledger)[:2] == ["ran", f"sent from {where}"]


@pytest.mark.parametrize(
    ("where", "lines"), [("code", ["ran", "sent from code"]), ("before_start", ["sent from before_start"])]
)
def test_a_limit_that_falls_due_in_the_code_or_before_it_is_raised_in_the_code(
    service: Service, where: str, lines: list[str]
) -> None:
    ledger = service.path()

    operation = service.start("limited-at", where=where, ledger=ledger)

    assert service.error(operation)["type"] == "SoftTimeLimitExceeded"
    step = first_step(service, operation)
    assert (step.state, step.runs, step.losses) == (StepState.FAILED, 1, 0)
    assert lines_of(ledger) == lines


def test_a_limit_that_falls_due_while_a_place_is_written_is_raised_once_it_is_written(service: Service) -> None:
    ledger = service.path()

    operation = service.start("limited-at", where="keep", ledger=ledger)

    assert service.error(operation)["type"] == "SoftTimeLimitExceeded"
    step = first_step(service, operation)
    assert (step.cursor, step.runs) == ('{"a":1}', 1)


def test_a_limit_of_the_pool_is_raised_in_the_code(service: Service) -> None:
    operation = service.start("limited-at", where="long", ledger=service.path())

    assert service.error(operation)["type"] == "SoftTimeLimitExceeded"


def test_a_task_that_is_no_step_is_limited_as_by_celery(service: Service) -> None:
    ledger = service.path()

    service.run("limited-errback", ledger=ledger)

    wait_for(lambda: lines_of(ledger) == ["SoftTimeLimitExceeded"])


@on_sqlite_alone
def test_no_place_behind_the_end_of_the_code_lets_a_limit_through(by_hand: ByHand) -> None:
    service = by_hand()
    with limits_of_the_pool():
        many = deliver(service, sent_at=0)[1]
        many = deliver(service, sent_at=0)[1]
        places = {*range(1, PLACES // 2), *range(1, many, max(1, 2 * many // PLACES))}

        for place in sorted(places):
            operation, _ = deliver(service, sent_at=place)

            step = first_step(service, operation)
            assert (step.state, step.runs, step.losses) == (StepState.SUCCESS, 1, 0), f"sent at call {place} of {many}"


def test_a_limit_that_falls_due_between_the_code_and_the_engine_is_raised_in_neither() -> None:
    with limits_of_the_pool(), soft_limit.in_slice():
        # A function without frames of its own: the signal arrives as it has returned.
        value = soft_limit.run(os.kill, (os.getpid(), signal.SIGUSR1), {})

    assert value is None


@contextmanager
def limits_of_the_pool() -> Iterator[None]:
    before = signal.signal(signal.SIGUSR1, soft_limit.fall_due)
    try:
        yield
    finally:
        for timer in (one for one in threading.enumerate() if isinstance(one, threading.Timer)):
            timer.join()  # it sends the signal once more
        signal.signal(signal.SIGUSR1, before)


def deliver(service: Service, *, sent_at: int) -> tuple[int, int]:
    """Run an operation, and send the signal at that call or return behind the end of its code; how many there were."""
    many, is_over = 0, False

    def look(frame: Any, event: str, _arg: Any) -> None:
        nonlocal many, is_over
        if is_over:
            many += 1
            if many == sent_at:
                os.kill(os.getpid(), signal.SIGUSR1)
        elif event == "return" and frame.f_code.co_name == "limited_at":
            is_over = True

    operation = service.start("limited-at", where="nowhere", ledger=service.path())
    sys.setprofile(look)
    try:
        service.deliver_all()
    finally:
        sys.setprofile(None)
    return operation, many
