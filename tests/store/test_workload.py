"""What workers hold and what waits for them is told of the first few, and counted of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, update

from pausable.db import statements
from pausable.db.stats import (
    OPERATIONS_A_MINUTE,
    STEPS_A_MINUTE,
    Tally,
    add_metrics,
    forget_minutes,
    list_metrics,
    list_minutes,
)
from pausable.db.tables import steps, user
from pausable.db.workers import (
    InHand,
    Overdue,
    count_held_steps,
    count_takers,
    count_waiting,
    gone_workers,
    live_workers,
    longest_held_steps,
    longest_overdue,
    mark_worker_lost,
    register_worker,
    stop_worker,
)
from pausable.model.states import Completion, StepState
from pausable.processes import Process
from tests.store.rows import NOW, add_operation, add_steps

if TYPE_CHECKING:
    import pytest
    from sqlalchemy import Connection

    from pausable.db.database import Database


def worker(tx: Connection, pid: int, now: float = NOW) -> int:
    return register_worker(tx, Process("alpha", "boot", pid, 1), now, ["operations"])


def run(tx: Connection, operation_id: int, number: int, worker_id: int, started_at: float) -> None:
    mine = (steps.c.operation_id == operation_id, steps.c.number == number)
    tx.execute(
        update(steps)
        .where(*mine)
        .values(state="Running", worker_id=worker_id, started_at=started_at, process=7, done=1)
    )


def test_of_each_worker_the_steps_are_told_that_it_has_held_longest(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx, Completion.IN_PROGRESS)
        add_steps(tx, operation, *[StepState.QUEUED] * 5)
        first, second = worker(tx, 1), worker(tx, 2)
        for number, (holder, at) in enumerate([(first, 3.0), (first, 1.0), (first, 2.0), (second, 9.0)]):
            run(tx, operation, number, holder, at)

    with database.read() as tx:
        found = longest_held_steps(tx, None, 2)
        counts = count_held_steps(tx)

    assert [(one.worker_id, one.number) for one in found] == [(first, 1), (first, 2), (second, 3)]
    assert found[0] == InHand(first, operation, 1, "add-1", 1.0, 7, 1, None)
    assert counts == {first: 3, second: 1}


def test_the_steps_of_one_requester_are_told_without_those_of_others(database: Database) -> None:
    with database.write() as tx:
        ada = add_operation(tx)
        tx.execute(insert(user).values(id=2, name="bob", role="user", created_at=NOW))
        bob = add_operation(tx, requester_id=2)
        holder = worker(tx, 1)
        for operation in (ada, bob):
            add_steps(tx, operation, StepState.QUEUED)
            run(tx, operation, 0, holder, NOW)

    with database.read() as tx:
        assert [one.operation_id for one in longest_held_steps(tx, 1, 5)] == [ada]


def test_what_waits_is_counted_so_far_and_the_longest_overdue_is_named(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "COUNTED", 2)
    with database.write() as tx:
        operation = add_operation(tx)
        add_steps(tx, operation, *[StepState.QUEUED] * 4, StepState.PENDING, due_at=NOW + 5)
        tx.execute(update(steps).where(steps.c.number == 2).values(due_at=NOW - 9, state="Retrying"))

    with database.read() as tx:
        assert count_waiting(tx, NOW) == {"waiting": 3, "overdue": 1}
        assert longest_overdue(tx, NOW) == Overdue(operation, 1, "add-2", NOW - 9)
        assert longest_overdue(tx, NOW - 10) is None


def test_live_workers_are_told_from_those_that_went_since_then(database: Database) -> None:
    with database.write() as tx:
        old, lost, stopped, live, younger = [worker(tx, pid) for pid in range(5)]
        silent = worker(tx, 9, NOW - 60)
        worker(tx, 10, NOW + 5)
        stop_worker(tx, old, NOW - 100)
        mark_worker_lost(tx, lost, NOW - 1)
        stop_worker(tx, stopped, NOW - 1)

    with database.read() as tx:
        shown, takers = live_workers(tx, 3, NOW - 15), count_takers(tx)
        gone = gone_workers(tx, NOW - 50, 5)

    assert [one.id for one in shown] == [silent, silent + 1, younger]
    assert takers == {("operations",): 4}
    assert [(one.id, one.state(NOW, 15)) for one in gone] == [(stopped, "stopped"), (lost, "lost")]
    assert [one.state(NOW + 15, 15) for one in shown] == ["silent", "alive", "alive"]
    assert live not in [one.id for one in gone]


def test_minutes_are_kept_apart_from_the_other_tallies_and_forgotten(database: Database) -> None:
    with database.write() as tx:
        for minute in (10, 11, 12):
            add_metrics(tx, [Tally(STEPS_A_MINUTE, "", minute, 2, 0.0), Tally(OPERATIONS_A_MINUTE, "", minute, 1, 0.0)])
        add_metrics(tx, [Tally("losses", "", 0, 1, 0.0)])
        forget_minutes(tx, 11)

    with database.read() as tx:
        assert list_minutes(tx, 12) == {(STEPS_A_MINUTE, 12): 2, (OPERATIONS_A_MINUTE, 12): 1}
        assert len(list_minutes(tx, 0)) == 4
        assert [one.name for one in list_metrics(tx)] == ["losses"]
