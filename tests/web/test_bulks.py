"""The same asked of many operations over HTTP: who may, of which, and what is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pausable.service.bulks import work_off
from tests.web.calling import Caller, everything, json_of, slug

if TYPE_CHECKING:
    from pausable.db.database import Database
    from tests.web.calling import Answer
    from tests.web.serving import Served


def work(served: Served, bob: Caller, asked: Answer) -> dict[str, Any]:
    """Sweep until the bulk is finished; what is told of it then."""
    place = asked.headers["Location"]
    while json_of(bob.get(place))["state"] == "RUNNING":
        work_off(served.commands.engine)
    told: dict[str, Any] = json_of(bob.get(place))
    return told


def test_many_are_paused_and_the_answer_is_a_handle(bob: Caller, served: Served) -> None:
    places = [bob.start("three") for _ in range(3)]

    asked = bob.post("/operations/pause?workflow=three", {"reason": "a deploy"})

    assert (asked.status_code, asked.headers["Location"]) == (202, "/bulks/1")
    told = json_of(asked)
    assert (told["state"], told["total"], told["done"], told["left"]) == ("RUNNING", 3, 0, 3)
    assert told["links"] == {"self": "/bulks/1", "stop": "/bulks/1/stop"}
    assert told["completion"] == ["SCHEDULED", "IN PROGRESS"]
    done = work(served, bob, asked)
    assert (done["state"], done["done"], done["refused"], done["left"]) == ("DONE", 3, 0, 0)
    assert done["links"] == {"self": "/bulks/1"}
    assert [bob.completion(place) for place in places] == ["PAUSED"] * 3


@pytest.mark.parametrize("verb", ["resume", "cancel"])
def test_where_they_stand_says_which_are_meant(bob: Caller, served: Served, verb: str) -> None:
    scheduled, paused = bob.start("three"), bob.start("three")
    bob.post(f"{paused}/pause")

    told = work(served, bob, bob.post(f"/operations/{verb}?completion=PAUSED"))

    assert (told["total"], told["done"]) == (1, 1)
    assert bob.completion(scheduled) == "SCHEDULED"
    assert bob.completion(paused) == {"resume": "IN PROGRESS", "cancel": "CANCELLED"}[verb]


def test_a_user_means_their_own_and_an_admin_everybody_s(bob: Caller, ada: Caller, served: Served) -> None:
    eve = Caller(bob.client, "the-token-of-eve")
    theirs, hers = bob.start("three"), eve.start("three")

    assert work(served, bob, bob.post("/operations/pause?workflow=three"))["total"] == 1
    assert (bob.completion(theirs), eve.completion(hers)) == ("PAUSED", "SCHEDULED")

    assert work(served, ada, ada.post("/operations/cancel?workflow=three"))["total"] == 2
    assert (bob.completion(theirs), eve.completion(hers)) == ("CANCELLED", "CANCELLED")


def test_somebody_else_s_bulk_is_not_there(bob: Caller, ada: Caller) -> None:
    eve = Caller(bob.client, "the-token-of-eve")
    bob.start("three")
    place = bob.post("/operations/pause?workflow=three").headers["Location"]

    for answer in (eve.get(place), eve.post(f"{place}/stop"), bob.get("/bulks/99")):
        assert (answer.status_code, slug(answer)) == (404, "bulk-not-found")
    assert json_of(eve.get("/bulks"))["bulks"] == []
    assert [one["id"] for one in json_of(ada.get("/bulks"))["bulks"]] == [1]


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("/operations/pause", "bulk-refused"),
        ("/operations/cancel?per_minute=5", "bulk-refused"),
        ("/operations/pause?completion=COMPLETED", "request-invalid"),
        ("/operations/resume?completion=PAUSED&completion=FAILED", "request-invalid"),
        ("/operations/resume?workflow=three&per_minute=0", "request-invalid"),
        ("/operations/resume?workflow=three&per_minute=many", "request-invalid"),
        ("/operations/resume?completion=SLEEPING", "request-invalid"),
        ("/operations/resume?workflow=three&requester=1", "request-invalid"),
        ("/operations/resume?workflow=three%00", "request-invalid"),
    ],
)
def test_what_cannot_be_asked_of_many_is_refused(bob: Caller, database: Database, address: str, kind: str) -> None:
    bob.start("three")
    before = everything(database)

    refused = bob.post(address)

    assert (refused.status_code, slug(refused)) == (422, kind)
    assert everything(database) == before


def test_the_rate_may_stand_in_the_query_or_in_the_body(bob: Caller) -> None:
    in_query = bob.post("/operations/pause?workflow=three&per_minute=30")
    in_body = bob.post("/operations/pause?workflow=three", {"per_minute": 30.0})
    in_both = bob.post("/operations/pause?workflow=three&per_minute=30", {"per_minute": 60})

    assert [json_of(one)["per_minute"] for one in (in_query, in_body, in_both)] == [30, 30, 60]


def test_the_same_key_asks_once(bob: Caller) -> None:
    bob.start("three")

    first = bob.post("/operations/pause?workflow=three", Idempotency_Key="k")
    again = bob.post("/operations/pause?workflow=three", Idempotency_Key="k")
    other = bob.post("/operations/cancel?workflow=three", Idempotency_Key="k")

    assert (first.status_code, again.status_code) == (202, 200)
    assert json_of(first) == json_of(again)
    assert (other.status_code, slug(other)) == (422, "idempotency-key-reused")
    assert len(json_of(bob.get("/bulks"))["bulks"]) == 1


def test_those_that_refuse_are_told_with_their_reasons(bob: Caller, served: Served) -> None:
    places = [bob.start("three") for _ in range(2)]
    for place in places:
        bob.post(f"{place}/pause")
    next(served.settings.workflow_store.glob("1/*/workflow.json")).unlink()

    told = work(served, bob, bob.post("/operations/resume?workflow=three"))

    assert (told["done"], told["refused"], told["left"]) == (1, 1, 0)
    assert told["refusals"] == [{"reason": "document-unusable", "count": 1, "operations": [1]}]


def test_a_bulk_is_stopped_once(bob: Caller, served: Served) -> None:
    place = bob.start("three")
    handle = bob.post("/operations/pause?workflow=three").headers["Location"]

    stopped = json_of(bob.post(f"{handle}/stop"))
    work_off(served.commands.engine)

    assert (stopped["state"], stopped["stopped_by"], stopped["left"]) == ("STOPPED", "bob", 1)
    assert json_of(bob.post(f"{handle}/stop")) == stopped
    assert bob.completion(place) == "SCHEDULED"


def test_bulks_are_listed_in_pages_newest_first(bob: Caller) -> None:
    for _ in range(3):
        bob.post("/operations/pause?workflow=three")

    page = json_of(bob.get("/bulks?limit=2"))

    assert [one["id"] for one in page["bulks"]] == [3, 2]
    assert [one["id"] for one in json_of(bob.get(page["next"]))["bulks"]] == [1]
