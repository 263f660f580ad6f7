"""What is due sooner than the sweeper's next look: whoever writes it wakes the sweeper, from any process."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pausable.engine import engine as engines
from pausable.engine.engine import WakeUp
from pausable.engine.publish import WAKE
from pausable.worker.sweeper import Sweeper
from pausable.worker.worker import wake_sweeper
from tests.databases import on_sqlite_alone
from tests.execution.service import Service, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

if TYPE_CHECKING:
    ByHand = Callable[..., Service]


@pytest.fixture
def service(by_hand: ByHand, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service whose sweepers would look once in a quarter of an hour."""
    monkeypatch.setattr(engines, "_LONGEST", 900.0)
    return by_hand(lease=4500)


@pytest.fixture
def sweeping(service: Service) -> Iterator[Service]:
    service.engine.become_worker(WakeUp())
    service.engine.register()
    sweeper = Sweeper(service.engine)
    sweeper.start()
    yield service
    sweeper.stop()


@on_sqlite_alone
def test_a_countdown_that_a_worker_writes_is_over_when_it_says(sweeping: Service) -> None:
    sweeping.start("apart-countdown", seconds=0.2)

    sweeping.deliver()

    wait_for(lambda: sweeping.messages() == 1)


@on_sqlite_alone
def test_a_countdown_that_another_program_writes_is_told_to_all_workers(service: Service) -> None:
    queue: Any = service.queue
    with queue.pubsub() as listening:
        listening.psubscribe("*")
        wait_for(lambda: bool(listening.get_message()))

        service.start("first-countdown", seconds=0.2)

        def is_told() -> bool:
            message = listening.get_message()
            body = json.loads(message["data"])["body"] if message and message["type"] == "pmessage" else ""
            return WAKE.encode() in base64.b64decode(body)

        wait_for(is_told)


@on_sqlite_alone
def test_what_is_due_in_hours_wakes_nobody(by_hand: ByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    service = by_hand()
    told: list[str] = []
    monkeypatch.setattr(service.engine.publisher, "wake", lambda: told.append("wake"))

    service.start("first-countdown", seconds=3600)
    service.start("first-countdown", seconds=0.2)

    assert told == ["wake"]


@on_sqlite_alone
def test_a_worker_that_is_told_rings_its_bell(sweeping: Service) -> None:
    rung: list[str] = []
    sweeping.engine.incarnation.ring = lambda: rung.append("rung")  # type: ignore[method-assign]

    wake_sweeper(SimpleNamespace(app=sweeping.celery))

    assert rung == ["rung"]
