"""A pause that is due now, and steps that tell how far they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pausable.db.claims import Kept, keep_place
from tests.web.calling import Caller, json_of

if TYPE_CHECKING:
    from tests.web.serving import Served


def test_a_pause_that_is_due_now_fences_off_what_runs_and_names_what_cannot_be_stopped(
    bob: Caller, served: Served
) -> None:
    place = bob.start("three")
    served.claim(place)

    answer = bob.post(f"{place}/pause", {"now": True})

    assert answer == 202
    assert json_of(answer)["completion"] == "REQUESTING PAUSE"
    assert [step["confirmed"] for step in json_of(answer)["in_flight"]] == [False]
    (first, *_) = json_of(bob.get(f"{place}/steps"))["steps"]
    assert (first["state"], first["losses"], first["done"], first["total"]) == ("Queued", 0, None, None)


@pytest.mark.parametrize("body", [{"now": "yes"}, {"now": 1}, {"now": None}, {"soon": True}])
def test_a_pause_is_due_now_or_it_is_not(bob: Caller, body: dict[str, Any]) -> None:
    place = bob.start("three")

    assert bob.post(f"{place}/pause", body) == 422
    assert bob.completion(place) == "SCHEDULED"


def test_a_step_that_keeps_its_place_changes_what_is_known_and_not_the_version(bob: Caller, served: Served) -> None:
    place = bob.start("three")
    served.claim(place)
    before = bob.get(f"{place}/status").headers["ETag"]
    with served.commands.engine.database.write() as tx:
        assert keep_place(tx, 1, 0, 1, Kept("7", 7, 10))

    answer = bob.get(f"{place}/status", If_None_Match=before)

    assert answer == 200
    assert [(step["done"], step["total"]) for step in json_of(answer)["in_flight"]] == [(7, 10)]
    assert bob.get(f"{place}/status", If_None_Match=answer.headers["ETag"]) == 304
    assert bob.post(f"{place}/pause", If_Match=before) == 202
