"""Real workers deliver, whatever happens to them; what they deliver to holds no operation up."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from pausable.model.states import Completion
from tests.execution.service import wait_for
from tests.notifications.endpoint import half

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.notifications.conftest import Outbox
    from tests.notifications.endpoint import Endpoint
    from tests.recovery.mortal import Mortal

if TYPE_CHECKING:
    Employ = Callable[..., Mortal]

MANY = 300


@pytest.fixture
def database_kind() -> str:
    """The store has been tried on both kinds."""
    return "sqlite"


def slowly(number: int) -> int:
    """Takes a while, and fails half the time at first: each failure doubles what is waited for."""
    time.sleep(0.02)
    return half(number) if number < MANY else 204


def test_a_worker_that_is_killed_while_it_delivers_loses_none(
    outbox: Outbox, employ: Employ, endpoint: Endpoint
) -> None:
    endpoint.answers = slowly
    outbox.put(MANY)
    first = employ()
    wait_for(lambda: len(endpoint.delivered()) > MANY / 5)

    first.kill()
    in_hand = [row for row in outbox.rows() if row.state == "Waiting" and row.attempts and not row.error]
    assert outbox.states() == {"Waiting", "Sent"}
    outbox.service.change("UPDATE notifications SET due_at = due_at - 25 WHERE state = 'Waiting'")
    employ()
    outbox.wait_until("Sent")

    assert in_hand
    assert len({one.headers["webhook-id"] for one in endpoint.delivered()}) == MANY
    assert len({one.headers["webhook-id"] for one in endpoint.received}) == MANY


def test_several_workers_share_the_work_and_send_nothing_twice(
    outbox: Outbox, employ: Employ, endpoint: Endpoint
) -> None:
    for _ in range(2):
        employ(processes=1)

    outbox.put(MANY)
    outbox.wait_until("Sent")

    assert len({one.headers["webhook-id"] for one in endpoint.received}) == len(endpoint.received) == MANY


def test_an_endpoint_that_hangs_holds_neither_an_operation_nor_a_worker_that_leaves(
    outbox: Outbox, employ: Employ, endpoint: Endpoint
) -> None:
    endpoint.gate = threading.Event()
    outbox.put(50)
    worker = employ()
    wait_for(lambda: len(endpoint.received) >= 8)

    assert outbox.service.run("rests").completion is Completion.COMPLETED
    worker.leave()
    worker.process.wait(30)

    assert len(endpoint.received) < 50
    assert {row.state for row in outbox.rows()} == {"Waiting"}


def test_what_comes_in_while_a_worker_idles_is_delivered_though_nobody_rings(
    outbox: Outbox, employ: Employ, endpoint: Endpoint
) -> None:
    employ()
    outbox.put()

    outbox.wait_until("Sent")

    assert len(endpoint.received) == 1
