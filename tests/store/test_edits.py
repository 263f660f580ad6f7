from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pausable.db import history as store
from pausable.db.steps import list_steps
from pausable.model.states import FINAL, IDLE, Completion, StepState
from tests.store.rows import NOW, add_operation, add_steps

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from pausable.db.database import Database

_S = StepState


def add_edit(tx: Connection, operation: int, **columns: Any) -> int:
    row = {"operation_id": operation, "at": NOW, "who": "ada", "why": None, "diff": "[]", "former": "{}", "runs": 0}
    return store.insert_edit(tx, row | columns)


def test_edits_are_listed_in_their_order_and_the_newest_that_is_left_is_the_last(database: Database) -> None:
    with database.write() as tx:
        operation, other = (add_operation(tx, Completion.PAUSED) for _ in range(2))
        first, second = (add_edit(tx, operation, why=why) for why in ("one", "two"))
        add_edit(tx, other)

        assert [one.why for one in store.list_edits(tx, operation, after=0, limit=9)] == ["one", "two"]
        assert [one.id for one in store.list_edits(tx, operation, after=first, limit=9)] == [second]
        assert [one.id for one in store.list_edits(tx, operation, after=0, limit=1)] == [first]
        last = store.last_edit(tx, operation)
        assert last is not None
        assert (last.id, last.undone_at) == (second, None)


def test_an_edit_is_taken_back_once(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx, Completion.PAUSED)
        edit = add_edit(tx, operation)

        assert store.mark_undone(tx, edit, "bob", NOW + 1)
        assert not store.mark_undone(tx, edit, "eve", NOW + 2)

        assert store.last_edit(tx, operation) is None
        (kept,) = store.list_edits(tx, operation, after=0, limit=9)
        assert (kept.undone_by, kept.undone_at) == ("bob", NOW + 1)


@pytest.mark.parametrize("state", StepState)
def test_calls_change_of_what_has_not_begun_and_results_of_what_has_ended(database: Database, state: StepState) -> None:
    with database.write() as tx:
        operation = add_operation(tx, Completion.PAUSED)
        add_steps(tx, operation, state)

        assert store.change_calls(tx, operation, {0: '{"task":"other"}'}) == (state in IDLE)
        assert store.change_results(tx, operation, {0: "7"}) == (state in FINAL)

        (step,) = list_steps(tx, operation)
        assert json.loads(step.signature)["task"] == ("other" if state in IDLE else "add")
        assert step.result == ("7" if state in FINAL else None)
        assert not store.change_calls(tx, operation, {5: "{}"})


def test_all_runs_of_an_operation_are_counted(database: Database) -> None:
    with database.write() as tx:
        operation, other = (add_operation(tx, Completion.PAUSED) for _ in range(2))
        add_steps(tx, operation, _S.SUCCESS, _S.PAUSED, runs=2)
        add_steps(tx, other, _S.SUCCESS, runs=5)

        assert store.runs_of(tx, operation) == 4
        assert store.runs_of(tx, 99) == 0
