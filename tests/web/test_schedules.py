"""Operations that start later, and pauses that end by themselves, as the API tells of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pausable import clock
from tests.web.calling import Caller, everything, json_of, problem, slug

if TYPE_CHECKING:
    from pausable.db.database import Database
    from tests.web.serving import Served

LATER = "2036-01-31T20:00:00+01:00"
LATER_IN_UTC = "2036-01-31T19:00:00.000Z"


def start_at(caller: Caller, moment: Any, **headers: str) -> Any:
    return caller.post("/operations", {"workflow": "three", "start_at": moment}, **headers)


def test_an_operation_that_starts_later_says_when(bob: Caller, served: Served) -> None:
    started = start_at(bob, LATER)

    assert started == 202
    place = started.headers["Location"]
    (listed,) = json_of(bob.get("/operations"))["operations"]
    for told in (json_of(started), json_of(bob.get(place)), json_of(bob.get(f"{place}/status")), listed):
        assert (told["completion"], told["start_at"], told["resume_at"]) == ("SCHEDULED", LATER_IN_UTC, None)
    assert served.queue.llen("operations") == 0


def test_a_pause_with_an_end_says_when_in_status_and_list(bob: Caller) -> None:
    place = bob.start("three")

    answer = bob.post(f"{place}/pause", {"resume_at": LATER})

    assert answer == 200
    (listed,) = json_of(bob.get("/operations"))["operations"]
    for told in (json_of(answer), json_of(bob.get(f"{place}/status")), listed):
        assert (told["completion"], told["resume_at"]) == ("PAUSED", LATER_IN_UTC)


def test_a_scheduled_operation_is_paused_at_once_and_cancelled_at_once(bob: Caller) -> None:
    paused, cancelled = (start_at(bob, LATER).headers["Location"] for _ in range(2))

    assert json_of(bob.post(f"{paused}/pause"))["completion"] == "PAUSED"
    assert json_of(bob.post(f"{cancelled}/cancel"))["completion"] == "CANCELLED"
    assert json_of(bob.post(f"{paused}/resume"))["completion"] == "SCHEDULED"


@pytest.mark.parametrize(
    "moment", ["2036-01-31T20:00:00", "tomorrow", "9999-12-31T00:00:00Z", 1800000000, True, "", []]
)
def test_what_is_no_moment_or_too_far_ahead_is_refused(bob: Caller, database: Database, moment: Any) -> None:
    place = bob.start("three")
    before = everything(database)

    for refused in (start_at(bob, moment), bob.post(f"{place}/pause", {"resume_at": moment})):
        assert (refused.status_code, slug(refused)) == (422, "request-invalid")
        assert problem(refused)["errors"][0]["field"] in ("start_at", "resume_at")
    assert everything(database) == before


@pytest.mark.parametrize("moment", ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", None])
def test_a_moment_of_the_past_means_now(bob: Caller, served: Served, moment: str | None) -> None:
    assert json_of(start_at(bob, moment))["start_at"] is None
    served.deliver()

    assert bob.completion("/operations/1") == "IN PROGRESS"


def test_the_same_start_again_is_the_same_operation_also_once_its_time_has_passed(bob: Caller) -> None:
    soon = "2027-01-15T08:00:00Z"
    with clock.frozen_at(1_800_000_000.0 - 1) as time:
        first = start_at(bob, soon, Idempotency_Key="k")
        time.advance(10)
        again = start_at(bob, soon, Idempotency_Key="k")
        other = start_at(bob, LATER, Idempotency_Key="k")

    assert (first.status_code, again.status_code) == (202, 200)
    assert json_of(first)["id"] == json_of(again)["id"]
    assert (other.status_code, slug(other)) == (422, "idempotency-key-reused")
