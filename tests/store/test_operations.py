from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import IntegrityError

from pausable.db.database import is_taken
from pausable.db.operations import (
    completion_of,
    due_operations,
    find_by_idempotency_key,
    find_operation,
    list_operations,
    lock_operation,
    next_due_operation,
    next_id,
    save,
)
from pausable.errors import MoveRefused
from pausable.model.states import OPERATION_MOVES, Completion
from tests.deadlines import WAIT
from tests.store.rows import NOW, add_operation

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from pausable.db.database import Database
    from pausable.db.operations import Operation

EVERY_MOVE = [(source, target) for source in Completion for target in Completion if source is not target]


def operation_at(tx: Connection, completion: Completion) -> Operation:
    operation = find_operation(tx, add_operation(tx, completion))
    assert operation is not None
    return operation


@pytest.mark.parametrize(("source", "target"), EVERY_MOVE)
def test_a_move_is_saved_when_the_table_has_it_and_else_refused_and_nothing_changed(
    database: Database, source: Completion, target: Completion
) -> None:
    with database.write() as tx:
        before = operation_at(tx, source)
        if (source, target) in OPERATION_MOVES:
            assert save(tx, before, replace(before, completion=target))
        else:
            with pytest.raises(MoveRefused, match=f"is {source}: it cannot become {target}"):
                save(tx, before, replace(before, completion=target))

        kept = target if (source, target) in OPERATION_MOVES else source
        assert completion_of(tx, before.id) is kept


def test_what_is_saved_is_what_is_found_one_version_on(database: Database) -> None:
    with database.write() as tx:
        before = operation_at(tx, Completion.IN_PROGRESS)
        changed: dict[str, Any] = {
            "completion": Completion.FAILED,
            "steps_left": 0,
            "error": "{}",
            "reason": "why",
            "finished_at": NOW,
        }
        after = replace(before, **changed, result="1", workflow_store="/a", workflow_digest="d", started_at=NOW)

        assert save(tx, before, after)

        assert find_operation(tx, before.id) == lock_operation(tx, before.id) == replace(after, version=2)


@pytest.mark.parametrize("completion", Completion)
def test_only_what_is_scheduled_or_paused_can_be_due(database: Database, completion: Completion) -> None:
    waits = completion in (Completion.SCHEDULED, Completion.REQUESTING_PAUSE, Completion.PAUSED)
    with database.write() as tx:
        before = operation_at(tx, completion)
        save(tx, before, replace(before, due_at=NOW))

        assert next_due_operation(tx) == (NOW if waits else None)
        assert due_operations(tx, NOW, 10) == ([before.id] if waits else [])
        assert due_operations(tx, NOW - 1, 10) == []


def test_the_longest_due_come_first_and_not_more_than_asked_for(database: Database) -> None:
    with database.write() as tx:
        third, first, second = (add_operation(tx, due_at=NOW + later) for later in (3, 1, 2))

        assert due_operations(tx, NOW + 3, 2) == [first, second]
        assert due_operations(tx, NOW + 3, 3)[-1] == third
        assert next_due_operation(tx) == NOW + 1


def test_a_save_upon_an_older_version_writes_nothing(database: Database) -> None:
    with database.write() as tx:
        before = operation_at(tx, Completion.IN_PROGRESS)
        save(tx, before, replace(before, reason="first"))

        assert not save(tx, before, replace(before, reason="second"))

        present = find_operation(tx, before.id)
    assert present is not None
    assert (present.reason, present.version) == ("first", 2)


def test_of_two_who_save_at_once_one_wins(database: Database) -> None:
    with database.write() as tx:
        before = operation_at(tx, Completion.IN_PROGRESS)
    together = Barrier(2, timeout=WAIT)

    def move(target: Completion) -> bool:
        together.wait()
        with database.write() as tx:
            saved = save(tx, before, replace(before, completion=target))
        database.close()
        return saved

    with ThreadPoolExecutor(2) as writers:
        saved = list(writers.map(move, [Completion.REQUESTING_PAUSE, Completion.REQUESTING_CANCEL]))

    assert sorted(saved) == [False, True]


def test_nothing_is_found_of_an_operation_that_is_not_there(database: Database) -> None:
    with database.write() as tx:
        assert (find_operation(tx, 7), lock_operation(tx, 7), completion_of(tx, 7)) == (None, None, None)


def test_an_id_that_was_taken_beforehand_is_nobody_elses(database: Database) -> None:
    with database.write() as tx:
        taken = next_id(tx)
        others = [add_operation(tx), next_id(tx), add_operation(tx)]
        assert add_operation(tx, id=taken) == taken

    assert len({taken, *others}) == 4


def test_an_operation_is_found_by_its_requesters_key(database: Database) -> None:
    with database.write() as tx:
        id_ = add_operation(tx, idempotency_key="k", request_digest="d")

        found = find_by_idempotency_key(tx, 1, "k")

        assert found is not None
        assert (found.id, found.request_digest) == (id_, "d")
        assert find_by_idempotency_key(tx, 2, "k") is None
        assert find_by_idempotency_key(tx, 1, "K") is None


def test_a_key_is_taken_once_and_operations_without_one_are_many(database: Database) -> None:
    with database.write() as tx:
        add_operation(tx)
        add_operation(tx)
        add_operation(tx, idempotency_key="k")

        with pytest.raises(IntegrityError) as refused:
            add_operation(tx, idempotency_key="k")

    assert is_taken(refused.value)
    assert not is_taken(ValueError())


def test_operations_are_listed_newest_first_in_pages(database: Database) -> None:
    with database.write() as tx:
        ids = [add_operation(tx) for _ in range(5)]

        first = listed(tx, limit=2)
        second = listed(tx, limit=2, before_id=first[-1])

    assert (first, second) == ([ids[4], ids[3]], [ids[2], ids[1]])


def test_operations_are_listed_by_completion_workflow_and_requester(database: Database) -> None:
    with database.write() as tx:
        paused, other = add_operation(tx, Completion.PAUSED), add_operation(tx, workflow="counting")

        assert listed(tx, completions=[Completion.PAUSED, Completion.FAILED]) == [paused]
        assert listed(tx, workflow="counting") == [other]
        assert listed(tx, requester_id=1) == [other, paused]
        assert listed(tx, requester_id=2) == []


def listed(
    tx: Connection,
    *,
    requester_id: int | None = None,
    completions: list[Completion] | None = None,
    workflow: str | None = None,
    before_id: int | None = None,
    limit: int = 10,
) -> list[int]:
    found = list_operations(
        tx,
        requester_id=requester_id,
        completions=completions or [],
        workflow=workflow,
        before_id=before_id,
        limit=limit,
    )
    return [operation.id for operation in found]
