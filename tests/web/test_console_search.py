"""A search of the list, which looks through so many operations at a time, goes on until all are looked through."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from pausable.db import views
from pausable.db.users import user_named
from pausable.db.views import Search
from pausable.service.pages import operations_of
from tests.databases import on_both
from tests.store.rows import add_operation
from tests.web.browsing import Visitor, rows

if TYPE_CHECKING:
    from flask import Flask

    from pausable.db.database import Database
    from pausable.db.users import User
    from tests.web.serving import Served

_MANY = 12


@pytest.fixture
def people(database: Database) -> dict[str, User]:
    with database.glance() as tx:
        return {name: one for name in ("ada", "bob", "eve") if (one := user_named(tx, name))}


@pytest.fixture
def hay(database: Database, people: dict[str, User]) -> list[int]:
    """Operations of Bob, every third of which is of the workflow `needle`; of Eve there are as many after each."""
    found = []
    with database.write() as tx:
        for place in range(_MANY):
            workflow = "needle" if place % 3 == 0 else "straw"
            found.append(add_operation(tx, requester_id=people["bob"].id, workflow=workflow))
            for _ in range(_MANY):
                add_operation(tx, requester_id=people["eve"].id, workflow="straw")
    return found


def pages(served: Served, who: User, words: str) -> list[list[int]]:
    """The ids that a search finds, page by page of two."""
    found, asked = [], Search(None, words=words)
    while True:
        listed = operations_of(served.commands, who, asked, 2)
        found.append([one.id for one in listed.operations])
        if not listed.following:
            return found
        asked = replace(asked, before_id=listed.following)


@on_both
@pytest.mark.parametrize("looked_through", [1, 4, 20_000])
def test_a_search_that_goes_on_finds_each_operation_once(
    served: Served, people: dict[str, User], hay: list[int], looked_through: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "SEARCHED", looked_through)
    with served.commands.engine.database.write() as tx:
        about = [add_operation(tx, requester_id=people["bob"].id, arguments=f'"{hay[0]}') for _ in range(3)]

    for_bob, for_ada = (list(chain(*pages(served, people[name], "NEEDLE"))) for name in ("bob", "ada"))
    by_id = list(chain(*pages(served, people["bob"], str(hay[0]))))

    assert for_bob == for_ada == hay[9::-3]
    assert by_id == [hay[0], *about[::-1]]


@on_both
def test_a_search_looks_through_one_s_own_operations_alone(
    served: Served, people: dict[str, User], hay: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "SEARCHED", _MANY)

    assert pages(served, people["bob"], "needle") == [[hay[9], hay[6]], [hay[3], hay[0]]]
    assert len(pages(served, people["ada"], "nothing")) == _MANY + 1
    assert pages(served, people["eve"], "needle") == [[]] * _MANY


def test_an_old_operation_is_found_by_its_id(app: Flask, hay: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "SEARCHED", 2)

    page = Visitor(app).sign_in("bob").see(f"/console/operations?search={hay[0]}").text

    assert rows(page) == [hay[0]]
    assert "No operations found" not in page
    assert rows(Visitor(app).sign_in("eve").see(f"/console/operations?search={hay[0]}").text) == []
