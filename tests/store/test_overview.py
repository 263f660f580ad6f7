"""Operations that are found for the console's list: the right ones, and by looking at no more than a few."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pausable.db import views
from pausable.db.views import Search, find_operations, searched_down_to
from pausable.model.states import Completion
from tests.databases import on_sqlite_alone
from tests.store.rows import add_operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from pausable.db.database import Database

_C = Completion
RARE = (_C.REQUESTING_PAUSE, _C.REQUESTING_CANCEL)


@pytest.mark.parametrize("requester", [None, 1])
@pytest.mark.parametrize("workflow", [None, "adding"])
@pytest.mark.parametrize("completions", [(), (_C.FAILED,), (_C.FAILED, _C.PAUSED)])
def test_what_is_asked_for_is_found_the_newest_first(
    database: Database, requester: int | None, workflow: str | None, completions: tuple[Completion, ...]
) -> None:
    rows = [(one, name) for name in ("adding", "counting") for one in (_C.FAILED, _C.PAUSED, _C.COMPLETED)]
    with database.write() as tx:
        ids = [add_operation(tx, one, workflow=name) for one, name in rows]
    meant = [
        number
        for number, (one, name) in zip(ids, rows, strict=True)
        if name == (workflow or name) and (not completions or one in completions)
    ]

    with database.read() as tx:
        asked = Search(requester, completions, workflow, before_id=ids[-1] + 1)
        found = find_operations(tx, asked, 2)

    assert [one.id for one in found] == meant[::-1][:2]


@on_sqlite_alone
@pytest.mark.parametrize("requester", [None, 1])
@pytest.mark.parametrize(("completions", "workflow"), [(RARE[:1], "adding"), (RARE, "adding"), (RARE, None)])
def test_where_few_stand_nothing_else_is_looked_through(
    database: Database, requester: int | None, completions: tuple[Completion, ...], workflow: str | None
) -> None:
    plan = plans_of(database, lambda tx: find_operations(tx, Search(requester, completions, workflow), 50))[-1]

    assert "_by_completion (" in plan
    assert "completion=?" in plan


def test_an_id_is_found_however_old_it_is_where_it_may_be_seen_and_fits_the_rest(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "SEARCHED", 2)
    with database.write() as tx:
        oldest, *_ = [add_operation(tx, _C.FAILED) for _ in range(5)]
    asked = Search(1, words=str(oldest))
    fitting = [asked, replace(asked, requester_id=None), replace(asked, completions=(_C.FAILED,))]
    others = [replace(asked, requester_id=2), replace(asked, completions=RARE), replace(asked, workflow="other")]

    with database.read() as tx:
        found = [find_operations(tx, one, 2, searched_down_to(tx, one)) for one in (*fitting, *others)]

    assert [[one.id for one in page] for page in found] == [[oldest]] * 3 + [[]] * 3


@on_sqlite_alone
@pytest.mark.parametrize("requester", [None, 1])
def test_a_search_reads_no_row_that_it_does_not_look_through(database: Database, requester: int | None) -> None:
    asked = Search(requester, words="1234")

    (window,) = plans_of(database, lambda tx: searched_down_to(tx, asked))
    named, others = plans_of(database, lambda tx: find_operations(tx, asked, 50, 10))

    assert window in (
        "SCAN operations",
        "SEARCH operations USING COVERING INDEX operations_by_requester (requester_id=?)",
    )
    assert named == "SEARCH operations USING INTEGER PRIMARY KEY (rowid=?)"
    assert re.search(r"(INTEGER PRIMARY KEY \(|operations_by_requester \(requester_id=\? AND )(row)?id>\?\)", others)


def plans_of(database: Database, look: Callable[[Connection], object]) -> list[str]:
    """How SQLite goes about each statement of a look."""
    seen: list[str] = []
    with database.read() as tx:
        driver: Any = tx.connection.driver_connection
        driver.set_trace_callback(seen.append)
        look(tx)
        driver.set_trace_callback(None)
        return [" ".join(row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {one}")) for one in seen]
