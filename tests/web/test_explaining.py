"""`explain`: why an operation does not move, told by a real database, real processes and a real broker."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from pausable.clock import frozen_at
from pausable.db.transitions import Holder, claim_step
from pausable.db.workers import mark_worker_lost, register_worker
from pausable.processes import Process, start_of, this_boot, this_host, this_process
from tests.cli.terminal import Terminal
from tests.web.calling import Caller, json_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pausable.db.database import Database
    from tests.web.serving import Served


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that only lives, as that of a worker."""
    living = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield living
    living.kill()
    living.wait()


def enter(database: Database, *queues: str, process: Process | None = None, seen: float = 0.0) -> int:
    """Enter a worker of these queues that was seen so many seconds ago; by default this process is it."""
    with database.write() as tx:
        return register_worker(tx, process or this_process(), time.time() - seen, queues)


def hold(database: Database, worker: int, process: subprocess.Popen[bytes]) -> None:
    """Let the worker hold the first step, which that process runs."""
    with database.write() as tx:
        assert claim_step(tx, 1, 0, Holder(worker, process.pid, start_of(process.pid)), time.time())
        tx.execute(text("UPDATE operations SET completion = 'IN PROGRESS', version = version + 1"))


def as_worker(process: subprocess.Popen[bytes]) -> Process:
    return Process(this_host(), this_boot(), process.pid, start_of(process.pid) or 0)


def explained(bob: Caller, address: str) -> dict[str, Any]:
    answer = bob.get(f"{address}/explain")
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = json_of(answer)
    return said


def causes(bob: Caller, address: str) -> dict[str, dict[str, Any]]:
    """The causes by their kinds."""
    return {cause["kind"]: cause for cause in explained(bob, address)["causes"]}


def test_a_paused_one_names_who_paused_it_when_and_why(bob: Caller) -> None:
    address = bob.start("three")
    bob.post(f"{address}/pause", {"reason": "the disk is full"})

    (cause,) = explained(bob, address)["causes"]

    assert (cause["kind"], cause["who"], cause["why"], cause["steps"]) == ("paused", "bob", "the disk is full", 1)
    assert cause["sentence"].startswith("It was paused by bob at 20")
    assert cause["sentence"].endswith(" ago: the disk is full. Resumed, it goes on with 1 step.")
    *_, requested, _ = json_of(bob.get(f"{address}/events"))["events"]
    assert cause["since"] == requested["at"]


def test_a_requested_pause_names_what_is_in_flight_where_and_since_when(
    bob: Caller, database: Database, process: subprocess.Popen[bytes]
) -> None:
    address = bob.start("three")
    hold(database, enter(database, "operations", process=as_worker(process)), process)
    bob.post(f"{address}/pause", {"reason": "a deploy"})

    found = explained(bob, address)

    assert [cause["kind"] for cause in found["causes"]] == ["requesting_pause", "running"]
    requested, running = found["causes"]
    assert (requested["who"], requested["why"], requested["waits_for"]) == ("bob", "a deploy", ["give-1"])
    assert (running["step"], running["host"], running["process"]) == ("give-1", this_host(), process.pid)
    assert f"give-1 runs on {this_host()}, process {process.pid}, since 20" in running["sentence"]
    assert found["moving"]


def test_without_any_worker_nothing_runs(bob: Caller) -> None:
    address = bob.start("three")

    found = explained(bob, address)

    assert found["causes"][0]["kind"] == "no_worker"
    assert found["summary"] == "No worker is alive (none ever was): nothing runs until one is started."
    assert not found["moving"]


def test_a_queue_that_no_living_worker_listens_to_is_named_with_when_one_did(bob: Caller, database: Database) -> None:
    address = bob.start("three")
    enter(database, "others")
    with database.write() as tx:
        gone = register_worker(tx, Process("elsewhere", "b", 1, 1), time.time() - 100, ["operations"])
        mark_worker_lost(tx, gone, time.time())

    cause = causes(bob, address)["no_worker"]

    assert (cause["queue"], cause["step"], cause["steps"]) == ("operations", "give-1", 1)
    assert cause["since"] is not None
    assert "give-1 is queued on 'operations', where no worker has listened since 20" in cause["sentence"]


def test_what_waits_for_a_worker_that_listens_is_queued_there(bob: Caller, database: Database) -> None:
    address = bob.start("three")
    enter(database, "operations")

    found = causes(bob, address)

    assert found["queued"]["sentence"] == (
        "give-1 is queued on 'operations', where 1 worker listens, with nothing in hand."
    )
    assert found["waiting"]["sentence"] == "give-2 waits for give-1 (Queued)."


def test_a_broker_that_is_gone_is_told(bob: Caller, served: Served, database: Database) -> None:
    address = bob.start("three")
    enter(database, "operations")
    served.celery.conf.update(broker_write_url="redis://127.0.0.1:1/0")

    found = explained(bob, address)

    assert found["summary"] == "The broker does not answer: 1 step is ready, and published again once it does."


def test_the_lease_of_a_silent_worker_is_told_with_its_end(
    bob: Caller, served: Served, database: Database, process: subprocess.Popen[bytes]
) -> None:
    address, lease = bob.start("three"), served.settings.lease
    hold(database, enter(database, "operations", process=as_worker(process)), process)

    with frozen_at(time.time() + lease - 3):
        found = explained(bob, address)

    cause = next(cause for cause in found["causes"] if cause["kind"] == "holder_silent")
    assert (cause["step"], cause["process"]) == ("give-1", process.pid)
    assert "its lease ends in " in cause["sentence"]
    assert cause["until"] is not None
    assert not found["moving"]


def test_a_holder_that_is_gone_is_told_at_once(
    bob: Caller, database: Database, process: subprocess.Popen[bytes]
) -> None:
    address = bob.start("three")
    hold(database, enter(database, "operations", process=as_worker(process)), process)
    enter(database, "operations")
    process.kill()
    process.wait()

    found = explained(bob, address)

    assert found["summary"] == (
        f"give-1 ran on {this_host()}, process {process.pid}, which is gone: the next look of a worker queues it again."
    )


def test_a_holder_that_is_not_proven_gone_is_told_with_what_a_person_can_say(bob: Caller, database: Database) -> None:
    address = bob.start("three")
    enter(database, "operations")
    bob.post(f"{address}/pause")
    with database.write() as tx:
        worker = register_worker(tx, Process("elsewhere", "b", 7, 1), time.time(), ["operations"])
        lost = {"worker": worker, "at": time.time()}
        tx.execute(text("INSERT INTO lost_claims VALUES (1, 0, 1, :worker, 7, 1, :at)"), lost)
        tx.execute(text("UPDATE operations SET completion = 'REQUESTING PAUSE'"))

    found = causes(bob, address)

    assert found["holder_unproven"]["host"] == "elsewhere"
    assert "`accept=unconfirmed` waits for it no longer" in found["holder_unproven"]["sentence"]


def test_a_pause_that_cannot_be_written_says_why(bob: Caller, served: Served, database: Database) -> None:
    enter(database, "operations")
    address = bob.start("three")
    served.settings.workflow_store.write_bytes(b"in the way")

    bob.post(f"{address}/pause")

    assert "could not be written" in causes(bob, address)["document_unwritable"]["why"]


def test_what_was_failed_is_told_with_the_step_and_its_fault(bob: Caller, served: Served) -> None:
    address = bob.start("fails")
    served.deliver()
    served.deliver()

    (cause,) = explained(bob, address)["causes"]

    assert (cause["kind"], cause["step"], cause["why"]) == ("finished", "fail", "ArithmeticError: no such number")


def test_who_cancelled_it_is_told(bob: Caller) -> None:
    address = bob.start("three")
    bob.post(f"{address}/cancel", {"reason": "not wanted"})

    (cause,) = explained(bob, address)["causes"]

    assert (cause["kind"], cause["who"], cause["why"]) == ("finished", "bob", "not wanted")
    assert "It was cancelled by bob since 20" in cause["sentence"]


def test_somebody_else_s_operation_is_explained_to_nobody_but_an_admin(bob: Caller, eve: Caller, ada: Caller) -> None:
    address = bob.start("three")

    assert eve.get(f"{address}/explain") == 404
    assert ada.get(f"{address}/explain") == 200


def test_the_terminal_tells_the_same_sentences(bob: Caller, served: Served) -> None:
    address = bob.start("three")
    bob.post(f"{address}/pause")

    said = Terminal(served).says("operations", "explain", "1")

    assert said.startswith("Operation 1 is PAUSED.\n- It was paused by bob at 20")


def test_a_start_and_a_resume_at_their_times_are_told(bob: Caller) -> None:
    first, then = (datetime.fromtimestamp(int(time.time()) + days * 86400, UTC) for days in (1, 2))
    address = bob.post("/operations", {"workflow": "three", "start_at": first.isoformat()}).headers["Location"]

    cause = causes(bob, address)["scheduled"]
    assert datetime.fromisoformat(cause["until"]) == first
    assert f"It starts at {first:%Y-%m-%d %H:%M:%S} UTC, in " in cause["sentence"]

    bob.post(f"{address}/pause", {"resume_at": then.isoformat()})

    cause = causes(bob, address)["paused"]
    assert datetime.fromisoformat(cause["until"]) == then
    assert cause["sentence"].endswith(f"The service resumes it at {then:%Y-%m-%d %H:%M:%S} UTC.")


def test_one_that_was_moved_goes_on_elsewhere(bob: Caller, database: Database) -> None:
    address = bob.start("three")
    bob.post(f"{address}/pause")
    with database.write() as tx:
        tx.execute(text("UPDATE operations SET moved_at = 0, moved_to = 'the other house'"))

    found = explained(bob, address)

    assert found["summary"] == "It was moved to the other house at 1970-01-01 00:00:00 UTC, and goes on there alone."
