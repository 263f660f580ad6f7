"""The outbox: what is written once is taken by one at a time, and what came of it is noted by whoever may."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, func, select

from pausable.db.outbox import (
    Lease,
    Written,
    count_notifications,
    insert_notifications,
    list_notifications,
    mark_failed,
    mark_sent,
    next_notification,
    reschedule,
    revive,
    take_due,
)
from pausable.db.tables import notifications, operations
from pausable.db.workers import mark_worker_lost, register_worker
from pausable.processes import Process
from tests.store.rows import NOW, add_operation

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from pausable.db.database import Database
    from pausable.db.outbox import Outgoing

LEASE = 60.0


def written(operation_id: int, number: int = 0, **others: Any) -> Written:
    facts = {"step": "clean", "kind": "notification", "change": "3:Failed", "source": "step:clean"} | others
    return Written(operation_id=operation_id, number=number, facts="{}", created_at=NOW, **facts)


def one(tx: Connection, **others: Any) -> Outgoing:
    """A notification that is taken."""
    insert_notifications(tx, [written(add_operation(tx), **others)])
    return taken(tx)[0]


def taken(tx: Connection, now: float = NOW, limit: int = 100) -> list[Outgoing]:
    return take_due(tx, now=now, lease=Lease(now + LEASE), limit=limit)


def found(tx: Connection, **asked: Any) -> list[Outgoing]:
    return list_notifications(tx, **({"state": None, "operation_id": None, "before_id": None, "limit": 100} | asked))


def test_what_is_written_is_due_at_once(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        insert_notifications(tx, [written(operation)])
        insert_notifications(tx, [])

        row = taken(tx)[0]
        assert (row.operation_id, row.state, row.attempts, row.due_at) == (operation, "Waiting", 1, NOW + LEASE)
        assert next_notification(tx) == NOW + LEASE


def test_what_a_worker_that_lives_has_taken_is_nobody_elses_however_far_ahead_their_clock_is(
    database: Database,
) -> None:
    ahead = NOW + 10 * LEASE
    with database.write() as tx:
        mine, other = (register_worker(tx, Process("host", "boot", pid, 1), NOW) for pid in (1, 2))
        insert_notifications(tx, [written(add_operation(tx))])
        assert len(take_due(tx, now=NOW, lease=Lease(NOW + LEASE, mine), limit=9)) == 1

        assert next_notification(tx, worker_id=other) is None
        assert take_due(tx, now=ahead, lease=Lease(ahead + LEASE, other), limit=9) == []

        mark_worker_lost(tx, mine, NOW)
        assert next_notification(tx, worker_id=other) == NOW + LEASE
        assert [row.attempts for row in take_due(tx, now=ahead, lease=Lease(ahead + LEASE, other), limit=9)] == [2]


def test_what_is_written_twice_for_one_change_is_kept_once(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        for _ in range(2):
            insert_notifications(tx, [written(operation, 0), written(operation, 1)])
        insert_notifications(tx, [written(operation, change="4:Failed"), written(operation, source="all")])
        insert_notifications(tx, [written(operation, step=""), written(operation, kind="telling")])

        assert len(found(tx)) == 6


def test_what_is_taken_is_nobody_elses_until_its_lease_is_over(database: Database) -> None:
    with database.write() as tx:
        first = one(tx)

        assert taken(tx, NOW + LEASE - 1) == []
        assert [(row.id, row.attempts) for row in taken(tx, NOW + LEASE)] == [(first.id, 2)]


def test_many_who_take_at_once_never_take_the_same(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        insert_notifications(tx, [written(operation, number) for number in range(200)])
    all_taken: list[list[int]] = []

    def take() -> None:
        mine: list[int] = []
        while True:
            with database.write() as tx:
                rows = taken(tx, limit=7)
            if not rows:
                break
            mine += [row.id for row in rows]
        all_taken.append(mine)
        database.close()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    ids = [id_ for mine in all_taken for id_ in mine]
    assert len(ids) == len(set(ids)) == 200


def test_the_longest_due_are_taken_first(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        insert_notifications(tx, [written(operation, number) for number in range(3)])
        for row in taken(tx):
            reschedule(tx, row, NOW + 10 - row.number, "it answered 500")

        assert [row.number for row in taken(tx, NOW + 20, limit=2)] == [1, 2]


def test_those_of_some_places_are_left_or_taken_alone(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        insert_notifications(tx, [written(operation, number, source=source) for source in "ab" for number in (0, 1)])
        slow = [("a", 1), ("b", 0)]

        assert next_notification(tx, slow) == NOW
        assert [row.place for row in take_due(tx, now=NOW, lease=Lease(NOW + 9), limit=9, besides=slow)] == [
            ("a", 0),
            ("b", 1),
        ]
        assert next_notification(tx, slow) == NOW + 9
        assert [row.place for row in take_due(tx, now=NOW, lease=Lease(NOW + 9), limit=9, only=("b", 0))] == [("b", 0)]


def test_what_was_sent_is_never_taken_again_nor_sent_twice(database: Database) -> None:
    with database.write() as tx:
        row = one(tx)

        assert mark_sent(tx, row, NOW + 1)
        assert not mark_sent(tx, row, NOW + 2)
        assert not reschedule(tx, row, NOW, "late")
        assert not mark_failed(tx, row, "late", NOW)
        assert taken(tx, NOW + 1e6) == []
        assert next_notification(tx) is None
        assert [(kept.state, kept.error, kept.finished_at) for kept in found(tx)] == [("Sent", None, NOW + 1)]


def test_one_whose_lease_is_over_may_say_that_it_was_sent_but_not_put_it_off(database: Database) -> None:
    with database.write() as tx:
        late = one(tx)
        taken(tx, NOW + LEASE)

        assert not reschedule(tx, late, NOW, "late")
        assert next_notification(tx) == NOW + 2 * LEASE
        assert mark_sent(tx, late, NOW + LEASE)


def test_what_was_given_up_is_tried_no_more_until_somebody_asks_for_it(database: Database) -> None:
    with database.write() as tx:
        row = one(tx)

        assert mark_failed(tx, row, "it answered 410", NOW + 1)
        assert taken(tx, NOW + 1e6) == []
        assert revive(tx, NOW + 5, operation_id=row.operation_id + 1) == 0
        assert revive(tx, NOW + 5, ids=[row.id]) == 1
        assert revive(tx, NOW + 5) == 0
        assert [(again.id, again.attempts) for again in taken(tx, NOW + 5)] == [(row.id, 1)]


def test_they_are_listed_the_newest_first_by_state_and_operation(database: Database) -> None:
    with database.write() as tx:
        first, second = one(tx), one(tx)
        third = one(tx)
        mark_failed(tx, second, "no", NOW)

        assert [row.id for row in found(tx)] == [third.id, second.id, first.id]
        assert [row.id for row in found(tx, limit=1, before_id=third.id)] == [second.id]
        assert [row.id for row in found(tx, state="Failed")] == [second.id]
        assert [row.id for row in found(tx, operation_id=first.operation_id)] == [first.id]
        assert count_notifications(tx) == {"waiting": 2, "failed": 1}


def test_they_go_with_their_operation(database: Database) -> None:
    with database.write() as tx:
        row = one(tx)
        tx.execute(delete(operations).where(operations.c.id == row.operation_id))

        assert tx.execute(select(func.count()).select_from(notifications)).scalar_one() == 0
        assert not mark_sent(tx, row, NOW)


@pytest.mark.parametrize(("column", "value"), [("kind", "letter"), ("state", "Lost")])
def test_no_other_kind_and_no_other_state_is_kept(database: Database, column: str, value: str) -> None:
    with database.write() as tx:
        one(tx)
    with pytest.raises(Exception, match=f"notifications_{column}_check"), database.write() as tx:
        tx.execute(notifications.update().values({column: value}))
