from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from pausable.db import bulks as store
from pausable.db.database import is_taken
from pausable.db.history import append_event
from pausable.db.users import add_user
from pausable.model.bulk import Verb
from pausable.model.states import Completion
from tests.databases import on_sqlite_alone
from tests.store.rows import NOW, add_operation

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from pausable.db.bulks import Bulk
    from pausable.db.database import Database

_C = Completion
PAUSED = (_C.PAUSED,)


def add_bulk(tx: Connection, **columns: Any) -> Bulk:
    """A bulk of the user 1 that means all that is paused now."""
    measured = store.measure(tx, PAUSED, columns.get("workflow"), columns.get("owner_id"))
    row = {"requester_id": 1, "verb": Verb.RESUME, "completions": json.dumps(PAUSED), "created_at": NOW, "due_at": NOW}
    bulk = store.find_bulk(tx, store.insert_bulk(tx, row | measured | columns))
    assert bulk is not None
    return bulk


def add_paused(tx: Connection, **columns: Any) -> int:
    id_ = add_operation(tx, _C.PAUSED, **columns)
    append_event(tx, id_, at=NOW, who="ada", new=_C.SCHEDULED)
    append_event(tx, id_, at=NOW, who="ada", old=_C.SCHEDULED, new=_C.PAUSED)
    return id_


def found(tx: Connection, bulk: Bulk, **limits: int) -> store.Found:
    return store.candidates(tx, bulk, PAUSED, **{"look_at": 100, "give": 100, **limits})


def test_a_bulk_is_what_was_asked_for_and_belongs_to_who_asked(database: Database) -> None:
    with database.write() as tx:
        add_paused(tx)
        bulk = add_bulk(tx, per_minute=30, reason="a deploy")

        assert (bulk.who, bulk.verb, bulk.completions, bulk.per_minute) == ("ada", Verb.RESUME, PAUSED, 30)
        assert (bulk.total, bulk.done, bulk.refused, bulk.left, bulk.state) == (1, 0, 0, 1, "RUNNING")
        assert store.list_bulks(tx, requester_id=1, before_id=None, limit=5) == [bulk]
        assert store.list_bulks(tx, requester_id=2, before_id=None, limit=5) == []
        assert store.list_bulks(tx, requester_id=None, before_id=bulk.id, limit=5) == []


def test_it_counts_what_stands_so_now_and_nothing_that_comes_later(database: Database) -> None:
    with database.write() as tx:
        add_operation(tx, _C.COMPLETED)
        mine = [add_paused(tx) for _ in range(3)]
        bulk = add_bulk(tx)
        add_paused(tx)

        assert bulk.total == 3
        assert found(tx, bulk) == (mine, bulk.newest)


def test_it_means_those_of_a_workflow_and_of_a_user_alone(database: Database) -> None:
    with database.write() as tx:
        add_user(tx, "ada", "admin", NOW)
        bob = add_user(tx, "bob", "user", NOW)
        ours = add_paused(tx, workflow="ours")
        theirs = add_paused(tx, requester_id=bob.id)
        of_workflow, of_user = add_bulk(tx, workflow="ours"), add_bulk(tx, owner_id=bob.id)

        assert (of_workflow.total, found(tx, of_workflow).ids) == (1, [ours])
        assert (of_user.total, found(tx, of_user).ids) == (1, [theirs])


def test_of_many_rows_it_looks_at_some_and_says_how_far_it_has_looked(database: Database) -> None:
    with database.write() as tx:
        others = [add_paused(tx, workflow="other") for _ in range(5)]
        ours = [add_paused(tx, workflow="ours") for _ in range(3)]
        bulk = add_bulk(tx, workflow="ours")

        assert found(tx, bulk, look_at=5) == ([], others[-1])
        assert found(tx, bulk, look_at=7) == (ours[:2], ours[1])
        assert found(tx, bulk, give=2) == (ours[:2], ours[1])
        assert found(tx, bulk) == (ours, bulk.newest)


def test_of_two_who_work_on_from_one_place_one_is_let(database: Database) -> None:
    with database.write() as tx:
        add_paused(tx)
        bulk = add_bulk(tx)

        assert store.work_on(tx, bulk, 1, done=1)
        assert not store.work_on(tx, bulk, 1, done=1)

        present = store.find_bulk(tx, bulk.id)
    assert present is not None
    assert (present.place, present.done, present.left) == (1, 1, 0)


def test_once_it_is_stopped_nobody_works_on(database: Database) -> None:
    with database.write() as tx:
        add_paused(tx)
        bulk = add_bulk(tx)

        assert store.stop_bulk(tx, bulk.id, "ada", NOW + 1)
        assert not store.stop_bulk(tx, bulk.id, "bob", NOW + 2)
        assert not store.work_on(tx, bulk, 1, done=1)

        present = store.find_bulk(tx, bulk.id)
        assert present is not None
        assert (present.state, present.stopped_by, present.finished_at) == ("STOPPED", "ada", NOW + 1)
        assert store.due_bulks(tx, NOW + 9, 5) == []
        assert store.next_due_bulk(tx) is None


def test_the_longest_due_come_first(database: Database) -> None:
    with database.write() as tx:
        add_paused(tx)
        late, early, future = (add_bulk(tx, due_at=NOW + due) for due in (2, 1, 9))

        assert store.next_due_bulk(tx) == NOW + 1
        assert store.due_bulks(tx, NOW + 2, 5) == [early, late]
        assert store.due_bulks(tx, NOW + 2, 1) == [early]
        assert future.id not in [bulk.id for bulk in store.due_bulks(tx, NOW + 8, 5)]


def test_the_history_tells_where_an_operation_stood_and_where_it_came_to_since(database: Database) -> None:
    with database.write() as tx:
        id_ = add_paused(tx)
        newest = add_bulk(tx).newest_event
        assert store.moves_around(tx, id_, newest) == (_C.PAUSED, [])
        assert store.moves_around(tx, id_, 0) == (None, [_C.SCHEDULED, _C.PAUSED])

        append_event(tx, id_, at=NOW, who="ada", old=_C.PAUSED, new=_C.PAUSED, why="until later")
        append_event(tx, id_, at=NOW, who="ada", step="add-1", old="Paused", new="Queued")
        append_event(tx, id_, at=NOW, who="ada", old=_C.PAUSED, new=_C.IN_PROGRESS)

        assert store.moves_around(tx, id_, newest) == (_C.PAUSED, [_C.IN_PROGRESS])


def test_a_key_asks_once_for_each_user(database: Database) -> None:
    with database.write() as tx:
        add_paused(tx)
        bulk = add_bulk(tx, idempotency_key="k")
        assert store.bulk_of_key(tx, 1, "k") == bulk
        assert store.bulk_of_key(tx, 2, "k") is None

    with pytest.raises(IntegrityError) as refused, database.write() as tx:
        add_bulk(tx, idempotency_key="k")
    assert is_taken(refused.value)


def test_those_that_were_finished_long_ago_are_forgotten(database: Database) -> None:
    with database.write() as tx:
        add_paused(tx)
        old, new, running = (add_bulk(tx, finished_at=at) for at in (NOW, NOW + 5, None))

        assert store.delete_bulks(tx, NOW + 5) == 1

        assert store.find_bulk(tx, old.id) is None
        assert store.find_bulk(tx, new.id) == new
        assert store.find_bulk(tx, running.id) == running


@on_sqlite_alone
@pytest.mark.parametrize("owner_id", [None, 1])
def test_what_it_looks_at_is_found_by_an_index(database: Database, owner_id: int | None) -> None:
    with database.write() as tx:
        add_paused(tx)
        bulk = add_bulk(tx, owner_id=owner_id)
        query = store._next_at(bulk, _C.PAUSED, 10).compile(tx, compile_kwargs={"literal_binds": True})
        plan = " ".join(str(row) for row in tx.execute(text(f"EXPLAIN QUERY PLAN {query}")))

    assert "USING INDEX operations_by_completion (completion=? AND id>? AND id<?)" in plan
    assert "TEMP B-TREE" not in plan
