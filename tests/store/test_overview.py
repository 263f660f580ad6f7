"""Operations that are found for the console's list: the right ones, and by looking at no more than a few."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from app.domain.states import Completion
from app.store.overview import Asked, find_operations
from tests.databases import on_sqlite_alone
from tests.store.rows import add_operation

if TYPE_CHECKING:
    from app.store.database import Database

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
        asked = Asked(requester, completions, workflow, before_id=ids[-1] + 1)
        found = find_operations(tx, asked, 2)

    assert [one.id for one in found] == meant[::-1][:2]


@on_sqlite_alone
@pytest.mark.parametrize("requester", [None, 1])
@pytest.mark.parametrize(("completions", "workflow"), [(RARE[:1], "adding"), (RARE, "adding"), (RARE, None)])
def test_where_few_stand_nothing_else_is_looked_through(
    database: Database, requester: int | None, completions: tuple[Completion, ...], workflow: str | None
) -> None:
    seen: list[str] = []
    with database.read() as tx:
        driver: Any = tx.connection.driver_connection
        driver.set_trace_callback(seen.append)
        find_operations(tx, Asked(requester, completions, workflow), 50)
        driver.set_trace_callback(None)
        plan = " ".join(str(row) for row in tx.execute(text("EXPLAIN QUERY PLAN " + seen[-1].replace(":", "\\:"))))

    assert "_by_completion (" in plan
    assert "completion=?" in plan
