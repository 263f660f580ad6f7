"""A worker all of whose processes are busy with long steps takes no messages, and keeps none from other workers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pausable.model.states import Completion
from tests.execution.service import make_service, wait_for
from tests.rabbitmq import running_rabbitmq, wait_for_consumer_timeout
from tests.recovery.flows import lines_of
from tests.recovery.mortal import start_worker
from tests.recovery.sending_flows import slow

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service
    from tests.recovery.mortal import Mortal

if TYPE_CHECKING:
    Employ = Callable[..., Mortal]

#: What RabbitMQ says when it closes the channel of a consumer that has kept a message for too long.
CLOSED = "PRECONDITION_FAILED"


def hold(service: Service, many: int = 1) -> tuple[list[int], str]:
    """Start operations that each keep a process busy until a gate is there; the operations, and the gate."""
    ledger, gate = service.path(), service.path()
    operations = [service.start("held", ledger=ledger, gate=gate) for _ in range(many)]
    wait_for(lambda: len(lines_of(ledger)) == many)
    return operations, gate


def test_a_worker_that_is_busy_for_long_gives_back_what_it_has_taken_and_takes_no_more(
    service: Service, employ: Employ
) -> None:
    employ(processes=1)
    busy, gate = hold(service)

    waiting = [service.start("sums", numbers=[1, 2]) for _ in range(3)]
    wait_for(lambda: service.messages() == 3)
    waiting.append(service.start("sums", numbers=[1, 2]))
    employ(processes=1)

    assert {service.ended(operation).result for operation in waiting} == {"3"}
    assert service.completion(busy[0]) is Completion.IN_PROGRESS
    Path(gate).touch()
    assert service.ended(busy[0]).completion is Completion.COMPLETED
    assert service.read("SELECT DISTINCT runs, losses FROM steps") == [(1, 0)]


def test_a_worker_that_was_busy_takes_messages_again_once_a_process_is_free(service: Service, employ: Employ) -> None:
    employ(processes=1)
    busy, gate = hold(service)
    waiting = [service.start("sums", numbers=[1, 2]) for _ in range(3)]
    wait_for(lambda: service.messages() == 3)

    Path(gate).touch()

    assert {service.ended(operation).result for operation in waiting} == {"3"}
    assert service.ended(busy[0]).completion is Completion.COMPLETED
    assert service.read("SELECT DISTINCT runs, losses, publishes FROM steps") == [(1, 0, 0)]


def test_other_messages_are_given_back_too_and_run_once(service: Service, employ: Employ) -> None:
    employ(processes=1)
    _, gate = hold(service)
    ledger = service.path()

    for number in range(3):
        slow.delay(ledger, number)
    wait_for(lambda: service.messages() == 3)
    assert service.queue.hlen("unacked") == 0
    Path(gate).touch()

    wait_for(lambda: len(lines_of(ledger)) == 3)
    service.run("sums", numbers=[1, 2])  # its message came behind all others
    assert sorted(lines_of(ledger)) == ["0", "1", "2"]


def test_rabbitmq_closes_no_channel_while_steps_run_for_longer_than_its_consumer_timeout(tmp_path: Path) -> None:
    with running_rabbitmq(tmp_path / "rabbitmq", consumer_timeout=6) as url:
        service = make_service(tmp_path, url, flows=("tests.recovery.flows", "tests.recovery.sending_flows"))
        with service.at_work():
            worker = start_worker(service, processes=2)
            try:
                (long,), gate = hold(service)
                (longer,), last_gate = hold(service)
                waiting = [service.start("sums", numbers=[1, 2]) for _ in range(5)]
                ledger = service.path()
                slow.delay(ledger, 1)

                wait_for_consumer_timeout(url)
                Path(gate).touch()

                assert {service.ended(operation).result for operation in waiting} == {"3"}
                wait_for(lambda: lines_of(ledger) == ["1"])
                assert service.ended(long).completion is Completion.COMPLETED
                assert service.completion(longer) is Completion.IN_PROGRESS
                assert CLOSED not in (tmp_path / "worker.log").read_text()
                Path(last_gate).touch()
                assert service.ended(longer).completion is Completion.COMPLETED
            finally:
                worker.bury()
        service.close()
