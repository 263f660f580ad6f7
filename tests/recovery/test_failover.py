"""A PostgreSQL primary that dies and the standby that takes its place: everybody waits, and nothing stays Running."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from app import create_app
from pausable.db.database import is_outage
from pausable.model.states import StepState
from pausable.service.accounts import give_token
from tests.execution.pausing import in_database
from tests.execution.service import FLOWS, Service, make_service, wait_for
from tests.postgresql import running_postgresql, streaming_from
from tests.recovery.mortal import start_worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgresql import PostgreSQL

#: Seconds after which a silent worker counts as lost here.
LEASE = 3.0


@pytest.fixture
def servers() -> Iterator[tuple[PostgreSQL, PostgreSQL]]:
    """A primary and the standby that streams from it."""
    with running_postgresql() as primary, streaming_from(primary) as standby:
        yield primary, standby


@pytest.fixture
def service(servers: tuple[PostgreSQL, PostgreSQL], broker_url: str, tmp_path: Path) -> Iterator[Service]:
    """A service that knows both servers, with two workers."""
    primary, standby = servers
    url = primary.create("service").replace(str(primary.folder), f"{primary.folder},{standby.folder}")
    broker = in_database(broker_url, 8)
    service = make_service(
        tmp_path, broker, database_url=url, lease=LEASE, flows=(*FLOWS, "tests.recovery.flows"), republish_after=2
    )
    service.queue.flushdb()
    with service.at_work(), ExitStack() as workers:
        for _ in range(2):
            workers.callback(start_worker(service).bury)
        yield service
    service.close()


def test_operations_go_on_when_the_standby_has_taken_over_and_none_stays_running(
    service: Service, servers: tuple[PostgreSQL, PostgreSQL]
) -> None:
    primary, standby = servers
    operations = [service.start("sums", numbers=[*range(24)]) for _ in range(30)]
    wait_for(lambda: StepState.SUCCESS in service.states(operations[0]).values())

    primary.stop(signal.SIGQUIT)
    with pytest.raises(Exception) as refused:  # noqa: PT011 - of either library
        service.start("sums", numbers=[1])
    standby.ask("SELECT pg_promote()")

    assert is_outage(refused.value)
    assert {service.ended(operation).result for operation in operations} == {"276"}
    assert service.read("SELECT count(*) FROM steps WHERE state = 'Running'") == [(0,)]


def test_a_start_on_a_standby_is_answered_503_and_says_that_it_is_read_only(
    service: Service, servers: tuple[PostgreSQL, PostgreSQL]
) -> None:
    with service.engine.database.write() as tx:
        token, _ = give_token(tx, service.ada)
    web = create_app(service.settings).test_client()

    servers[0].stop(signal.SIGQUIT)
    body = {"workflow": "sums", "arguments": {"numbers": [1]}}
    answer = web.post("/operations", json=body, headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert answer.json
    assert answer.json["detail"] == (
        "The database takes no writes just now (it is read-only, as a standby is): try again in 5 seconds."
    )
