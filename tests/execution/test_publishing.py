"""The broker is disposable: stopped, hung or emptied, it costs time and never an operation."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from app.supervisor.broker import EmbeddedBroker, prepare_broker
from pausable.clock import frozen_at
from pausable.engine import publish
from pausable.model.states import Completion, StepState
from pausable.worker.sweeper import sweep
from tests.deadlines import WAIT
from tests.execution.service import Service, make_service, wait_for
from tests.programs import end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import NewDatabase

if TYPE_CHECKING:
    ByHand = Callable[..., Service]


@dataclass
class Broker:
    """A broker of the test's own, that it may stop, hang and start again at the same address."""

    program: EmbeddedBroker
    server: subprocess.Popen[bytes]

    def start(self) -> None:
        self.server = start(self.program)

    def stop(self) -> None:
        end(self.server)

    def hang(self) -> None:
        os.kill(self.server.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.server.pid, signal.SIGCONT)


def start(program: EmbeddedBroker) -> subprocess.Popen[bytes]:
    server = subprocess.Popen(program.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(program.answers)
    return server


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    program = prepare_broker(tmp_path / "broker")
    broker = Broker(program, start(program))
    yield broker
    broker.go_on()
    broker.stop()


@pytest.fixture
def service(broker: Broker, new_database: NewDatabase, tmp_path: Path) -> Iterator[Service]:
    service = make_service(tmp_path, broker.program.url, database_url=new_database(tmp_path))
    with service.at_work():
        yield service
    service.close()


def start_within_seconds(service: Service, seconds: float = WAIT / 2) -> int:
    """Start an operation, and fail when that does not come back."""
    with ThreadPoolExecutor(1) as client:
        started = client.submit(service.start, "adding", numbers=[1, 2]).result(timeout=seconds)
        client.submit(service.engine.database.close).result()
    return started


def test_an_operation_that_is_started_without_a_broker_runs_once_it_is_back(service: Service, broker: Broker) -> None:
    with service.working(processes=1):
        assert service.run("adding", numbers=[1, 2]).result == "3"
        broker.stop()

        operation = start_within_seconds(service)
        assert service.completion(operation) is Completion.SCHEDULED
        broker.start()

        assert service.ended(operation).result == "3"


def test_a_hung_broker_does_not_hang_who_starts_an_operation(service: Service, broker: Broker) -> None:
    start_within_seconds(service)
    broker.hang()

    operation = start_within_seconds(service)

    broker.go_on()
    with frozen_at(time.time() + 3):
        sweep(service.engine)
    service.deliver_all()
    assert service.show(operation).result == "3"


def test_while_the_broker_is_silent_it_is_not_asked_again_for_each_operation(
    service: Service, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "_OPEN_FOR", 3600.0)
    broker.stop()
    start_within_seconds(service)
    sent: list[object] = []
    monkeypatch.setattr(publish.Publisher, "_send", lambda *given: sent.append(given))

    start_within_seconds(service)

    assert sent == []
    broker.start()


def test_a_broker_that_comes_back_is_used_again(
    service: Service, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "_OPEN_FOR", 0.0)
    broker.stop()
    start_within_seconds(service)
    broker.start()

    operation = start_within_seconds(service)

    assert service.messages() == 1
    assert service.deliver_all() == 1
    assert service.show(operation).result == "3"


def test_a_message_that_is_in_no_queue_any_more_is_published_again_once_a_worker_would_have_claimed_it(
    service: Service,
) -> None:
    operation = service.start("adding", numbers=[1, 2])
    service.queue.flushdb()

    for seconds, messages in ((1, 0), (3, 1), (4, 1)):
        with frozen_at(time.time() + seconds):
            sweep(service.engine)
        assert service.messages() == messages

    service.deliver_all()
    assert service.show(operation).result == "3"


def test_a_message_is_published_again_that_must_be_older_than_all_that_its_queue_still_holds(service: Service) -> None:
    now = time.time()
    with frozen_at(now) as clock:
        lost = service.start("adding", numbers=[1, 2])
        clock.advance(5)
        waiting = [service.start("adding", numbers=[3, 4]) for _ in range(2)]
        assert service.take() == [lost, 0]

        clock.advance(5)
        sweep(service.engine)
        sweep(service.engine)

    assert [service.take()[0] for _ in range(service.messages())] == [*waiting, lost]


def test_a_message_that_waits_in_a_queue_with_others_is_published_again_in_its_time(service: Service) -> None:
    operation = service.start("adding", numbers=[1, 2])
    wait = service.engine.republish_after

    for seconds in (wait - 1, wait + 1):
        with frozen_at(time.time() + seconds):
            sweep(service.engine)
        assert service.messages() == (2 if seconds > wait else 1)

    service.deliver_all()
    assert service.show(operation).result == "3"


def test_the_time_until_a_step_is_published_again_doubles(service: Service) -> None:
    operation = service.start("adding", numbers=[1, 2])
    with frozen_at(time.time()) as clock:
        for doubled in (1, 2, 4, 8, 16):
            due = service.steps(operation)["same"].due_at or 0.0
            assert due - clock() == pytest.approx(service.engine.republish_after * doubled, abs=5)
            clock.advance(due - clock() + 0.001)
            sweep(service.engine)

    assert service.messages() == 1 + 5
    assert service.states(operation)["same"] is StepState.QUEUED


def test_of_two_sweeps_at_once_one_publishes(service: Service) -> None:
    service.start("adding", numbers=[1, 2])
    service.queue.flushdb()

    def sweep_once(_: int) -> None:
        sweep(service.engine)
        service.engine.database.close()

    with frozen_at(time.time() + service.engine.republish_after + 1), ThreadPoolExecutor(2) as workers:
        list(workers.map(sweep_once, range(2)))

    assert service.messages() == 1


def test_a_broker_that_refuses_messages_costs_time_and_nothing_else(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "_OPEN_FOR", 0.0)
    service.queue.config_set("maxmemory", "1")
    operation = service.start("fan", width=3)
    service.deliver_step(operation, 0)

    service.queue.config_set("maxmemory", "0")
    sweep(service.engine)
    service.deliver_all()

    assert service.show(operation).result == "3"


def test_whatever_the_brokers_client_raises_stops_nobody(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(*_given: object, **_options: object) -> None:
        raise LookupError("something new")

    with monkeypatch.context() as broken:
        broken.setattr(publish.Publisher, "_send", raising)
        broken.setattr(publish, "_OPEN_FOR", 0.0)
        operation = service.start("fan", width=3)
        service.deliver_step(operation, 0)

    sweep(service.engine)
    service.deliver_all()
    assert service.show(operation).result == "3"
