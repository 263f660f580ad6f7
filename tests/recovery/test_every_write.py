"""Every write of a worker's life fails once: afterwards no step is Running in nobody's hands, and the operation ends.

The fault is the database's own: a trigger refuses the write on SQLite, and ends the connection on PostgreSQL.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.databases import on_both
from tests.execution.pausing import in_database
from tests.execution.service import Service, make_service, wait_for
from tests.recovery.flows import lines_of
from tests.recovery.mortal import Mortal, launch_worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import NewDatabase

#: Each write: its table and event, when it is that, and what the log of the worker says when it has failed.
WRITES: Final = {
    "register": ("INSERT ON workers", "TRUE", "could not be registered yet"),
    "heartbeat": ("UPDATE OF heartbeat ON workers", "TRUE", "the heartbeat could not be written"),
    "claim": ("UPDATE ON steps", "NEW.state = 'Running'", "the database cannot be reached"),
    "settle": ("UPDATE ON steps", "OLD.state = 'Running' AND NEW.state = 'Success'", "the database cannot be reached"),
    "stop": ("UPDATE OF stopped_at ON workers", "TRUE", "stopped_at"),
    "note that a worker is lost": (
        "UPDATE OF lost_at ON workers",
        "NEW.lost_at IS NOT NULL",
        "checking the claims failed",
    ),
    "take a claim away": (
        "UPDATE ON steps",
        "OLD.state = 'Running' AND NEW.state = 'Queued'",
        "checking the claims failed",
    ),
}
#: What the first worker writes while it begins, and what is written once it has gone.
EARLY: Final = ("register", "heartbeat", "claim", "settle")
LATE: Final = ("stop", "note that a worker is lost", "take a claim away")

ON_SQLITE = """CREATE TRIGGER fault BEFORE {event} WHEN {when} AND EXISTS (SELECT 1 FROM faults)
BEGIN SELECT RAISE(ABORT, 'database is locked, by the test'); END"""
ON_POSTGRESQL = """CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
IF EXISTS (SELECT 1 FROM faults) THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
RETURN NEW; END $$; CREATE TRIGGER fault BEFORE {event} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION fault()"""


@pytest.fixture
def service(new_database: NewDatabase, broker_url: str, tmp_path: Path) -> Iterator[Service]:
    """A service without workers, on either database."""
    flows = ("tests.recovery.flows",)
    url = new_database(tmp_path)
    service = make_service(tmp_path, in_database(broker_url, 8), database_url=url, lease=1.5, flows=flows)
    service.queue.flushdb()
    with service.at_work():
        yield service
    service.close()


def break_write(service: Service, write: str) -> None:
    event, when, _ = WRITES[write]
    service.change("CREATE TABLE faults (id INTEGER)")
    service.change("INSERT INTO faults VALUES (1)")
    trigger = ON_SQLITE if service.engine.database.is_sqlite else ON_POSTGRESQL
    service.change(trigger.format(event=event, when=when))


def has_failed(service: Service, write: str) -> bool:
    log = service.settings.data_dir / "worker.log"
    return log.exists() and WRITES[write][2] in log.read_text()


def heal(service: Service, write: str) -> None:
    """Let the write through, once it has failed."""
    if write != "stop":
        wait_for(lambda: has_failed(service, write))
    service.change("DELETE FROM faults")


def employed(service: Service, started: ExitStack) -> Mortal:
    worker = launch_worker(service, processes=1)
    started.callback(worker.bury)
    return worker


def begun(ledger: str, times: int) -> None:
    wait_for(lambda: len(lines_of(ledger)) >= times)


@on_both
@pytest.mark.parametrize("write", EARLY)
def test_a_write_of_a_worker_that_begins_fails_once_and_its_step_is_recovered_all_the_same(
    service: Service, write: str
) -> None:
    ledger, gate = service.path(), service.path()
    operation = service.start("held", ledger=ledger, gate=gate)
    break_write(service, write)
    with ExitStack() as started:
        first = employed(service, started)
        heal(service, write)
        begun(ledger, 1)

        first.kill()
        employed(service, started)
        begun(ledger, 2)
        Path(gate).touch()

        assert service.ended(operation).result == "3"
        assert service.read("SELECT count(*) FROM steps WHERE state = 'Running'") == [(0,)]


@on_both
@pytest.mark.parametrize("write", LATE)
def test_a_write_of_the_end_of_a_worker_fails_once_and_its_step_is_recovered_all_the_same(
    service: Service, write: str
) -> None:
    ledger, gate = service.path(), service.path()
    operation = service.start("held", ledger=ledger, gate=gate)
    with ExitStack() as started:
        first = employed(service, started)
        begun(ledger, 1)

        break_write(service, write)
        end: Any = first.leave if write == "stop" else first.kill
        end()
        first.process.wait()
        employed(service, started)
        heal(service, write)
        begun(ledger, 2)
        Path(gate).touch()

        assert service.ended(operation).result == "3"
        assert service.read("SELECT count(*) FROM steps WHERE state = 'Running'") == [(0,)]
