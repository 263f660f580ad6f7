"""A PostgreSQL server that ends under running workers and comes back: what was in flight ends as if it had not."""

from __future__ import annotations

import signal
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from pausable.model.states import StepState
from tests.execution.pausing import in_database
from tests.execution.service import FLOWS, Service, make_service, wait_for
from tests.postgresql import running_postgresql
from tests.recovery.flows import lines_of
from tests.recovery.mortal import start_worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgresql import PostgreSQL


@pytest.fixture
def server() -> Iterator[PostgreSQL]:
    """A server of the test's own."""
    with running_postgresql() as server:
        yield server


@pytest.fixture
def service(server: PostgreSQL, broker_url: str, tmp_path: Path) -> Iterator[Service]:
    """A service on that server, with two workers."""
    with serving_workers(tmp_path, broker_url, server.create("service")) as service:
        yield service


@contextmanager
def serving_workers(folder: Path, broker_url: str, database_url: str) -> Iterator[Service]:
    broker = in_database(broker_url, 8)
    service = make_service(folder, broker, database_url=database_url, flows=(*FLOWS, "tests.recovery.flows"))
    service.queue.flushdb()
    with service.at_work(), ExitStack() as workers:
        for _ in range(2):
            workers.callback(start_worker(service).bury)
        yield service
    service.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["in good order", "as in a crash"])
def test_a_database_that_is_restarted_under_running_workers_loses_nothing(
    service: Service, server: PostgreSQL, how: signal.Signals
) -> None:
    ledger, gate = service.path(), service.path()
    held = service.start("held", ledger=ledger, gate=gate)
    others = [service.start("adding", numbers=list(range(60))) for _ in range(20)]
    wait_for(lambda: len(lines_of(ledger)) == 1)
    wait_for(lambda: service.states(others[0])["add-1"] is StepState.SUCCESS)

    server.stop(how)
    open(gate, "w").close()
    server.start()

    ended = [service.ended(operation) for operation in (held, *others)]
    assert [one.result for one in ended] == ["3", *["1770"] * 20]
    assert len(lines_of(ledger)) == 1
    assert {step.losses for step in service.steps(held).values()} == {0}


def test_a_database_that_falls_silent_under_running_workers_loses_nothing(
    server: PostgreSQL, broker_url: str, tmp_path: Path
) -> None:
    # A server that says nothing is given up two seconds after the time of a statement.
    url = f"{server.create('service')}&options=-c%20statement_timeout=1s"
    with serving_workers(tmp_path, broker_url, url) as service:
        ledger, gate = service.path(), service.path()
        held = service.start("held", ledger=ledger, gate=gate)
        others = [service.start("adding", numbers=list(range(60))) for _ in range(20)]
        wait_for(lambda: len(lines_of(ledger)) == 1)
        wait_for(lambda: service.states(others[0])["add-1"] is StepState.SUCCESS)

        with server.silent():
            open(gate, "w").close()
            wait_for(lambda: "cannot be reached" in (tmp_path / "worker.log").read_text())

        ended = [service.ended(operation) for operation in (held, *others)]
        assert [one.result for one in ended] == ["3", *["1770"] * 20]
        assert len(lines_of(ledger)) == 1
        assert {step.losses for step in service.steps(held).values()} == {0}
