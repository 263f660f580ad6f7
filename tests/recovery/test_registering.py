"""A worker enters the table before it claims anything, however late the database lets it, and enters it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.execution.service import wait_for
from tests.recovery.flows import lines_of
from tests.recovery.mortal import launch_worker
from tests.recovery.test_locked_database import locked

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service
    from tests.recovery.mortal import Mortal

    Employ = Callable[..., Mortal]


def log_of(service: Service) -> str:
    return (service.settings.data_dir / "worker.log").read_text()


def test_a_worker_started_while_the_database_is_locked_registers_later_and_its_steps_are_recovered(
    service: Service, employ: Employ
) -> None:
    ledger, gate = service.path(), service.path()
    operation = service.start("held", ledger=ledger, gate=gate)

    with locked(service) as locker:
        worker = launch_worker(service)
        try:
            wait_for(lambda: "locked" in log_of(service))
            locker.communicate("\n")
            wait_for(lambda: len(lines_of(ledger)) == 1)
            assert worker.pid in {one.pid for one in service.workers()}
        finally:
            worker.bury()

    employ()
    wait_for(lambda: len(lines_of(ledger)) == 2)
    Path(gate).touch()
    assert service.ended(operation).result == "3"
    assert service.steps(operation)["run_at"].losses == 1


def test_a_worker_whose_row_vanished_enters_the_table_again_with_its_queues_and_goes_on(
    service: Service, employ: Employ
) -> None:
    worker = employ()

    service.change("DELETE FROM workers")
    wait_for(lambda: worker.pid in {one.pid for one in service.workers()})

    assert [one.queues for one in service.workers()] == [("operations", "own")]
    assert service.run("sums", numbers=[1, 2]).result == "3"


def test_a_worker_writes_again_what_it_listens_to_when_its_row_lags(service: Service, employ: Employ) -> None:
    employ()

    service.change("UPDATE workers SET queues = NULL")

    wait_for(lambda: [one.queues for one in service.workers()] == [("operations", "own")])
