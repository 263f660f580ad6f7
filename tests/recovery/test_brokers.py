"""A worker and its broker: it comes back when that does, and ends itself when it hears nothing any more."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from kombu import Connection
from redis.exceptions import ReadOnlyError

from app.supervisor.broker import EmbeddedBroker, free_port, prepare_broker
from pausable.config import Settings, broker_address
from pausable.engine.dispatch import broker_answers, reach_broker
from pausable.model.states import Completion
from pausable.worker.recovery import BrokerWatchdog
from tests.execution.service import QUEUE, Service, make_service, wait_for
from tests.recovery.mortal import start_worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEASE = 1.5


def started(program: EmbeddedBroker) -> subprocess.Popen[bytes]:
    server = subprocess.Popen(program.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(program.answers)
    return server


def stopped(server: subprocess.Popen[bytes]) -> None:
    server.kill()
    server.wait()


@pytest.fixture
def program(tmp_path: Path) -> EmbeddedBroker:
    return prepare_broker(tmp_path / "broker")


@pytest.fixture
def service(program: EmbeddedBroker, tmp_path: Path) -> Iterator[Service]:
    service = make_service(tmp_path, program.url, lease=LEASE, flows=("tests.recovery.flows",))
    with service.at_work():
        yield service
    service.close()


def test_a_worker_whose_broker_was_stopped_works_again_once_it_is_back(
    service: Service, program: EmbeddedBroker
) -> None:
    server = started(program)
    worker = start_worker(service, processes=1)
    try:
        assert service.run("soon", ledger=service.path()).completion is Completion.COMPLETED
        stopped(server)
        accepted = [service.start("soon", ledger=service.path()) for _ in range(3)]
        server = started(program)

        assert [service.ended(operation).completion for operation in accepted] == [Completion.COMPLETED] * 3
        assert worker.process.poll() is None
    finally:
        worker.bury()
        stopped(server)


def test_a_worker_that_hears_nothing_beside_a_full_queue_ends_itself(
    service: Service, program: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = started(program)
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: told.append((pid, number)))
    try:
        service.start("soon", ledger=service.path())
        watchdog = BrokerWatchdog(service.engine, [QUEUE], lambda: True)

        def looked() -> bool:
            watchdog.look()
            return bool(told)

        wait_for(looked)
        assert told == [(os.getpid(), signal.SIGTERM)]
    finally:
        monkeypatch.undo()
        stopped(server)


def have_completed(service: Service, many: int) -> bool:
    found = service.read("SELECT count(*) FROM operations WHERE completion = 'COMPLETED'")
    return bool(found[0][0] >= many)


def test_a_broker_that_is_killed_and_flushed_under_hundreds_of_operations_loses_none_and_repeats_nothing(
    service: Service, program: EmbeddedBroker
) -> None:
    server, operations = started(program), []
    worker = start_worker(service)
    try:
        operations += [service.start("sums", numbers=[*range(12)]) for _ in range(100)]
        wait_for(lambda: have_completed(service, 10))
        stopped(server)
        operations += [service.start("sums", numbers=[*range(12)]) for _ in range(100)]
        server = started(program)
        operations += [service.start("sums", numbers=[*range(12)]) for _ in range(50)]
        service.queue.flushall()
        operations += [service.start("sums", numbers=[*range(12)]) for _ in range(50)]

        wait_for(lambda: have_completed(service, 300))
        assert {service.show(operation).result for operation in operations} == {"66"}
        assert service.read("SELECT DISTINCT runs, losses FROM steps") == [(1, 0)]
        assert worker.process.poll() is None
    finally:
        worker.bury()
        stopped(server)


def test_a_broker_that_only_reads_for_a_while_is_waited_for(service: Service, program: EmbeddedBroker) -> None:
    server = started(program)
    worker = start_worker(service, processes=1)
    log = service.settings.data_dir / "worker.log"
    try:
        assert service.run("soon", ledger=service.path()).completion is Completion.COMPLETED

        service.queue.replicaof("127.0.0.1", 1)
        accepted = [service.start("soon", ledger=service.path()) for _ in range(3)]
        wait_for(lambda: "read only replica" in log.read_text())
        with pytest.raises(ReadOnlyError):
            reach_broker(service.engine)
        service.queue.replicaof("NO", "ONE")

        assert [service.ended(operation).completion for operation in accepted] == [Completion.COMPLETED] * 3
        assert worker.process.poll() is None
    finally:
        worker.bury()
        stopped(server)


def test_the_master_is_found_by_its_sentinel(program: EmbeddedBroker, tmp_path: Path) -> None:
    server, port = started(program), free_port()
    master = urlsplit(program.url)
    file = tmp_path / "sentinel.conf"
    file.write_text(
        f"port {port}\nbind 127.0.0.1\nsentinel monitor the-master 127.0.0.1 {master.port} 1\n"
        f"sentinel auth-pass the-master {master.password}\n"
    )
    watching = subprocess.Popen(
        [program.command[0], str(file), "--sentinel"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"sentinel://:{master.password}@127.0.0.1:{port}/0"
    service = make_service(tmp_path / "data", url, flows=("tests.recovery.flows",), broker_master_name="the-master")
    try:
        with service.at_work():
            wait_for(lambda: broker_answers(service.engine))
            worker = start_worker(service, processes=1)
            try:
                assert service.run("soon", ledger=service.path()).completion is Completion.COMPLETED
            finally:
                worker.bury()
    finally:
        stopped(watching)
        stopped(server)
        service.engine.database.close()


def test_certificates_of_rediss_are_checked_unless_the_url_says_otherwise() -> None:
    asked = Settings(broker_url="rediss://elsewhere:6380/0")
    waived = Settings(broker_url="rediss://elsewhere:6380/0?ssl_cert_reqs=none")

    assert Connection(broker_address(asked) or "").ssl == {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    assert Connection(broker_address(waived) or "").ssl == {"ssl_cert_reqs": ssl.CERT_NONE}
