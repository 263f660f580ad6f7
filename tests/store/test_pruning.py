"""The statements that take away what has ended: the oldest first, nothing that another holds or that has not ended."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select

from pausable.db import prune
from pausable.db.history import append_event, append_lines
from pausable.db.prune import Old, count_old, delete_old, delete_workers, ended_workers, oldest, thin_out, unknown_ids
from pausable.db.tables import edges, events, metadata, operations, step_logs, steps, workers
from pausable.model.states import ENDED, Completion, StepState
from tests.store.rows import NOW, add_operation, add_steps

if TYPE_CHECKING:
    import pytest

    from pausable.db.database import Database

OLD = Old(NOW, ENDED)
_C = Completion


def ended(database: Database, completion: Completion, seconds_ago: float) -> int:
    """An operation of three steps that ended so, with history and a log."""
    with database.write() as tx:
        operation = add_operation(tx, completion, finished_at=NOW - seconds_ago)
        add_steps(tx, operation, *[StepState.SUCCESS] * 3)
        append_event(tx, operation, at=NOW, who="ada", new=completion)
        append_lines(tx, operation, 0, 1, "told\n")
    return operation


def left(database: Database) -> dict[str, int]:
    with database.read() as tx:
        tables = (operations, steps, edges, events, step_logs)
        return {table.name: tx.execute(select(func.count()).select_from(table)).scalar_one() for table in tables}


def test_what_is_meant_is_told_with_its_weight_the_longest_ended_first(database: Database) -> None:
    late, early = ended(database, _C.COMPLETED, 5), ended(database, _C.FAILED, 9)
    ended(database, _C.CANCELLED, -1)
    with database.write() as tx:
        add_operation(tx, _C.PAUSED)

    with database.read() as tx:
        found = oldest(tx, OLD, 10)

        assert [(one.id, one.completion, one.steps, one.rows) for one in found] == [
            (early, _C.FAILED, 3, 9),
            (late, _C.COMPLETED, 3, 9),
        ]
        assert oldest(tx, OLD, 1) == found[:1]
        assert count_old(tx, OLD) == {_C.FAILED: 1, _C.COMPLETED: 1}
        assert oldest(tx, Old(NOW, frozenset({_C.CANCELLED})), 10) == []


def test_an_operation_goes_with_all_that_belongs_to_it(database: Database) -> None:
    gone, stays = ended(database, _C.COMPLETED, 5), ended(database, _C.COMPLETED, -5)

    with database.write() as tx:
        assert delete_old(tx, OLD, [gone, stays]) == [gone]

    assert left(database) == {"operations": 1, "steps": 3, "edges": 2, "events": 1, "step_logs": 1}


def test_a_large_operation_is_thinned_out_in_parts(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "_PARTS", [(table, 2) for table, _ in prune._PARTS])
    ended(database, _C.COMPLETED, 5)
    with database.read() as tx:
        [one] = oldest(tx, OLD, 10)

    parts = [left(database)]
    while True:
        with database.write() as tx:
            if not thin_out(tx, OLD, one):
                break
        parts.append(left(database))

    taken = [sum(before.values()) - sum(after.values()) for before, after in pairwise(parts)]
    assert taken == [1, 1, 2, 2, 1]
    assert parts[-1] == {"operations": 1, "steps": 0, "edges": 0, "events": 0, "step_logs": 0}


def test_one_that_has_not_ended_is_neither_thinned_nor_taken(database: Database) -> None:
    operation = ended(database, _C.FAILED, 5)
    with database.read() as tx:
        [one] = oldest(tx, OLD, 10)
    with database.write() as tx:
        tx.execute(operations.update().values(completion=str(_C.IN_PROGRESS), finished_at=None))
    before = left(database)

    with database.write() as tx:
        assert not thin_out(tx, OLD, one)
        assert delete_old(tx, OLD, [operation]) == []

    assert left(database) == before


def test_ids_are_unknown_that_were_given_once_and_are_no_more(database: Database) -> None:
    first, second = ended(database, _C.COMPLETED, 5), ended(database, _C.COMPLETED, -5)
    with database.write() as tx:
        delete_old(tx, OLD, [first])

    with database.read() as tx:
        assert unknown_ids(tx, {first, second, second + 1}) == {first}


def test_workers_go_that_ended_and_hold_nothing(database: Database) -> None:
    born = {"host": "a", "boot_id": "b", "start_time": 0, "heartbeat": 0, "seen_at": 0.0}
    times = [(NOW - 1, None), (None, NOW - 200_000), (None, NOW - 1), (None, None), (NOW - 1, None)]
    with database.write() as tx:
        rows = [born | {"pid": pid, "stopped_at": stop, "lost_at": lost} for pid, (stop, lost) in enumerate(times, 1)]
        keys = [tx.execute(insert(workers).returning(workers.c.id), row).scalar_one() for row in rows]
        add_steps(tx, add_operation(tx), StepState.RUNNING)
        tx.execute(steps.update().values(worker_id=keys[4]))

    with database.read() as tx:
        found = ended_workers(tx, NOW)
    delete_workers(database, found)

    assert found == keys[:2]
    with database.read() as tx:
        assert set(tx.execute(select(metadata.tables["workers"].c.id)).scalars()) & set(keys) == set(keys[2:])
