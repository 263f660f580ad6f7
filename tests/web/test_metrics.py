"""What Prometheus is told is what stands in the tables and at the broker, and what processes counted."""

from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.supervisor.broker import free_port
from pausable import clock
from pausable.db.outbox import Lease, Written, insert_notifications, mark_failed, take_due
from pausable.db.stats import STEPS_A_MINUTE, list_metrics, list_minutes
from pausable.db.workers import register_worker
from pausable.engine.dispatch import QueueDepths
from pausable.engine.metrics import BUCKETS, KEPT, LOSSES, STEP_SECONDS, Metrics
from pausable.processes import this_process
from tests.store.rows import NOW, add_operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pausable.db.database import Database
    from tests.web.calling import Caller
    from tests.web.serving import Served


def figures(bob: Caller) -> dict[Any, float]:
    """Each figure by its name and the values of its labels, in the order of the labels' names."""
    told = bob.get("/metrics")
    assert (told.status_code, told.mimetype) == (200, "text/plain")
    families = text_string_to_metric_families(told.text)
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for one in families
        for sample in one.samples
    }


def test_operations_are_counted_by_where_they_stand_and_of_which_workflow(served: Served, bob: Caller) -> None:
    for workflow in ("three", "three", "fails"):
        bob.start(workflow)
    bob.post("/operations/1/pause")
    for _ in range(2):  # of the one that fails
        served.queue.rpoplpush("operations", "aside")
    served.deliver()
    served.deliver()
    served.commands.engine.metrics.flush()

    found = figures(bob)

    assert found["operations", "PAUSED"] == 1
    assert found["operations", "SCHEDULED"] == 1
    assert found["operations", "FAILED"] == 1
    assert found["operations", "COMPLETED"] == 0
    assert found["operations_unfinished", "PAUSED", "three"] == 1
    assert found["operations_finished_total", "FAILED", "fails"] == 1
    assert found["operations_step_seconds_count", "tests.web.flows.fail"] == 1
    assert found["operations_step_seconds_bucket", "+Inf", "tests.web.flows.fail"] == 1


def test_steps_are_counted_by_what_they_wait_for(served: Served, bob: Caller) -> None:
    claimed = bob.start("three")
    bob.start("three")
    served.claim(claimed)

    with clock.frozen_at(clock.now() + 3600):
        found = figures(bob)

    assert {state: found["operations_steps", state] for state in ("running", "queued", "overdue")} == {
        "running": 1,
        "queued": 1,
        "overdue": 1,
    }


def test_messages_are_counted_by_queue_at_the_broker(bob: Caller) -> None:
    bob.start("three")
    bob.start("three")

    assert figures(bob)["operations_queue_messages", "operations"] == 2


def test_a_pause_is_timed_from_its_request_until_it_has_taken_effect(served: Served, bob: Caller) -> None:
    address = bob.start("three")
    served.claim(address)
    bob.post(f"{address}/pause")
    with clock.frozen_at(clock.now() + 42), served.commands.engine.database.write() as tx:
        tx.exec_driver_sql("UPDATE steps SET state = 'Queued' WHERE state = 'Running'")
    with clock.frozen_at(clock.now() + 42):
        served.deliver()
    served.commands.engine.metrics.flush()

    found = figures(bob)

    assert found["operations_pause_seconds_count",] == 1
    assert 41 < found["operations_pause_seconds_sum",] < 60
    assert found["operations_pause_seconds_bucket", "30.0"] == 0
    assert found["operations_pause_seconds_bucket", "60.0"] == 1


def test_workers_are_counted_that_live_and_that_were_lost(bob: Caller, database: Database) -> None:
    with database.write() as tx:
        register_worker(tx, this_process(), clock.now())
        tx.exec_driver_sql(
            "INSERT INTO workers (host, boot_id, pid, start_time, heartbeat, seen_at, lost_at)"
            " VALUES ('alpha', 'b', 1, 1, 0, ?, ?)",
            (clock.now(), clock.now()),
        )

    found = figures(bob)

    assert (found["operations_workers", "alive"], found["operations_workers", "lost"]) == (1, 1)


@pytest.fixture
def silent_broker() -> Iterator[str]:
    """The URL of something that lets one connect, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@pytest.mark.parametrize("broker", ["silent", "absent"])
def test_while_the_broker_is_silent_all_but_its_queues_is_told(
    served: Served, bob: Caller, silent_broker: str, broker: str
) -> None:
    url = silent_broker if broker == "silent" else f"redis://127.0.0.1:{free_port()}/0"
    served.celery.conf.update(broker_write_url=url)

    found = figures(bob)

    assert found["operations", "SCHEDULED"] == 0
    assert [name for name, *_ in found if name == "operations_queue_messages"] == []


def test_a_broker_that_hangs_is_asked_one_question_at_a_time(served: Served, silent_broker: str) -> None:
    served.celery.conf.update(broker_write_url=silent_broker)
    depths = QueueDepths(served.commands.engine)

    assert [depths.depths() for _ in range(3)] == [{}, {}, {}]

    assert sum(thread.name == "queue-depth" for thread in threading.enumerate()) <= 1


def test_counting_again_adds_to_what_is_in_the_table(database: Database) -> None:
    for _ in range(2):
        tallies = Metrics(database)
        tallies.observe(STEP_SECONDS, 0.02, "task")
        tallies.observe(STEP_SECONDS, 4000.0, "task")
        tallies.count(LOSSES, times=3)
        tallies.flush()

    with database.read() as tx:
        found = [(row.name, row.label, row.bucket, row.count, row.total) for row in list_metrics(tx)]
    assert found == [
        (LOSSES, "", 0, 6, 0.0),
        (STEP_SECONDS, "task", BUCKETS.index(0.025), 2, 0.04),
        (STEP_SECONDS, "task", len(BUCKETS), 2, 8000.0),
    ]


def test_what_is_counted_by_the_minute_is_kept_for_two_hours_and_no_figure_of_metrics(
    database: Database, bob: Caller
) -> None:
    first, tallies = int(NOW // 60), Metrics(database)
    for minute, steps in ((0, 2), (KEPT - 1, 1), (KEPT + 1, 3)):
        with clock.frozen_at(NOW + 60 * minute):
            for _ in range(steps):
                tallies.observe(STEP_SECONDS, 0.02, f"task {_}")
            tallies.flush()

    with database.read() as tx:
        after, told = list_minutes(tx, 0), {row.name for row in list_metrics(tx)}
    assert after == {(STEPS_A_MINUTE, first + KEPT - 1): 1, (STEPS_A_MINUTE, first + KEPT + 1): 3}
    assert told == {STEP_SECONDS}
    assert not [name for name, *_ in figures(bob) if "minute" in name]


def test_what_the_table_does_not_take_is_kept_for_the_next_time(database: Database) -> None:
    tallies = Metrics(database)
    tallies.count(LOSSES)
    with database.write() as tx:
        tx.exec_driver_sql("ALTER TABLE tallies RENAME TO aside")
    tallies.flush()
    with database.write() as tx:
        tx.exec_driver_sql("ALTER TABLE aside RENAME TO tallies")

    tallies.flush()

    with database.read() as tx:
        assert [row.count for row in list_metrics(tx)] == [1]


def test_a_child_counts_for_itself_and_not_again_what_its_parent_counted(database: Database) -> None:
    tallies = Metrics(database)
    tallies.count(LOSSES)
    child = os.fork()
    if child == 0:
        tallies.flush()
        tallies.count(LOSSES, times=10)
        tallies.flush()
        os._exit(0)
    os.waitpid(child, 0)

    tallies.flush()

    with database.read() as tx:
        assert [row.count for row in list_metrics(tx)] == [11]


def test_notifications_that_wait_and_that_were_given_up_are_counted(served: Served, bob: Caller) -> None:
    with served.commands.engine.database.write() as tx:
        operation = add_operation(tx)
        for number in range(3):
            written = Written(operation, "clean", "notification", "3:Failed", "all", number, "{}", NOW)
            insert_notifications(tx, [written])
        mark_failed(tx, take_due(tx, now=NOW, lease=Lease(NOW), limit=1)[0], "it answered 500", NOW)

    found = figures(bob)

    assert found["operations_notifications", "waiting"] == 2
    assert found["operations_notifications", "failed"] == 1
