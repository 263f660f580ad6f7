"""Operations are started once, listed page by page, and shown as they stand."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from flask import url_for

from tests.web.calling import Caller, json_of, problem, slug

if TYPE_CHECKING:
    from tests.web.serving import Served

ONE = {"workflow": "three", "arguments": {"value": 1}}


def test_a_start_is_answered_with_202_and_where_the_operation_is(bob: Caller) -> None:
    started = bob.post("/operations", ONE)

    assert started == 202
    assert started.headers["Location"] == url_for("operations.show_operation", operation_id=1)
    assert started.headers["ETag"] == '"1"'
    assert json_of(started)["completion"] == "SCHEDULED"
    assert json_of(started)["progress"] == {"done": 0, "total": 3, "percent": 0.0}


def test_what_was_started_is_found_at_its_location(bob: Caller) -> None:
    started = bob.post("/operations", ONE)

    shown = bob.get(started.headers["Location"])

    assert shown == 200
    assert shown.data == started.data
    assert shown.headers["ETag"] == started.headers["ETag"]


def test_arguments_may_be_left_out_and_get_their_defaults(bob: Caller) -> None:
    started = bob.post("/operations", {"workflow": "three"})

    assert json_of(started)["arguments"] == {"value": None}


def test_the_same_idempotency_key_gives_the_same_operation(bob: Caller) -> None:
    first = bob.post("/operations", ONE, Idempotency_Key="k")

    second = bob.post("/operations", ONE, Idempotency_Key="k")

    assert (first.status_code, second.status_code) == (202, 200)
    assert second.headers["Location"] == first.headers["Location"]
    assert len(json_of(bob.get("/operations"))["operations"]) == 1


def test_another_body_under_the_same_idempotency_key_is_refused(bob: Caller) -> None:
    bob.post("/operations", ONE, Idempotency_Key="k")

    other = bob.post("/operations", {"workflow": "three", "arguments": {"value": 2}}, Idempotency_Key="k")

    assert other == 422
    assert slug(other) == "idempotency-key-reused"
    assert problem(other)["operation_id"] == 1


def test_an_idempotency_key_is_its_requester_s_own(bob: Caller, eve: Caller) -> None:
    of_bob = bob.post("/operations", ONE, Idempotency_Key="k")

    of_eve = eve.post("/operations", ONE, Idempotency_Key="k")

    assert of_eve == 202
    assert of_eve.headers["Location"] != of_bob.headers["Location"]


def test_an_operation_that_has_ended_shows_its_result(bob: Caller, served: Served) -> None:
    place = bob.start("three", value={"a": [1, "ü", None]})

    for _ in range(3):
        served.deliver()

    shown = json_of(bob.get(place))
    assert (shown["completion"], shown["result"], shown["error"]) == ("COMPLETED", {"a": [1, "ü", None]}, None)
    assert shown["progress"] == {"done": 3, "total": 3, "percent": 100.0}
    assert shown["links"].keys() == {"self", "status", "steps", "events", "result"}


def test_an_operation_that_has_failed_shows_step_message_and_traceback(bob: Caller, served: Served) -> None:
    place = bob.start("fails")

    for _ in range(2):
        served.deliver()

    shown = json_of(bob.get(place))
    assert (shown["completion"], shown["result"]) == ("FAILED", None)
    error = shown["error"]
    assert (error["step"], error["type"], error["message"]) == ("fail", "ArithmeticError", "no such number")
    assert 'raise ArithmeticError("no such number")' in error["traceback"]


def test_times_are_told_in_utc_as_rfc_3339_has_them(bob: Caller, served: Served) -> None:
    place = bob.start("three")
    served.deliver()

    shown = json_of(bob.get(place))

    assert shown["created_at"].endswith("Z")
    assert datetime.fromisoformat(shown["created_at"]) <= datetime.fromisoformat(shown["started_at"])
    assert shown["finished_at"] is None


def test_the_steps_that_run_are_in_flight(bob: Caller, served: Served) -> None:
    place = bob.start("three")
    served.claim(place)

    status = json_of(bob.get(f"{place}/status"))

    assert status["completion"] == "IN PROGRESS"
    assert [step["step"] for step in status["in_flight"]] == ["give-1"]


@pytest.mark.parametrize("of", ["", "/status"])
def test_who_knows_the_present_version_is_told_nothing_again(bob: Caller, served: Served, of: str) -> None:
    place = bob.start("three") + of
    tag = bob.get(place).headers["ETag"]

    known = bob.get(place, If_None_Match=f'"other", {tag}')
    served.deliver()
    changed = bob.get(place, If_None_Match=tag)

    assert (known.status_code, known.data, known.headers["ETag"]) == (304, b"", tag)
    assert changed == 200


def pages(caller: Caller, address: str) -> list[list[int]]:
    """The ids on each page, following the header Link, which says what the body says."""
    found = []
    following: Any = address
    while following:
        answer = caller.get(following)
        found.append([operation["id"] for operation in json_of(answer)["operations"]])
        following = json_of(answer)["next"]
        assert answer.headers.get("Link") == (f'<{following}>; rel="next"' if following else None)
    return found


def test_the_list_is_given_in_pages_newest_first(bob: Caller) -> None:
    for _ in range(5):
        bob.start("three")

    assert pages(bob, "/operations?limit=2") == [[5, 4], [3, 2], [1]]
    assert pages(bob, "/operations") == [[5, 4, 3, 2, 1]]


def test_the_list_is_narrowed_by_completion_and_workflow(bob: Caller) -> None:
    for workflow in ("three", "fails", "three", "three"):
        bob.start(workflow)
    bob.post("/operations/1/pause")
    bob.post("/operations/4/cancel")

    assert pages(bob, "/operations?workflow=three") == [[4, 3, 1]]
    assert pages(bob, "/operations?completion=PAUSED") == [[1]]
    assert pages(bob, "/operations?completion=PAUSED&completion=CANCELLED&limit=1") == [[4], [1]]
    assert pages(bob, "/operations?completion=IN+PROGRESS&workflow=three") == [[]]


def test_a_requester_sees_their_own_operations_and_an_admin_all(ada: Caller, bob: Caller, eve: Caller) -> None:
    bob.start("three")
    eve.start("three")

    assert (pages(bob, "/operations"), pages(eve, "/operations"), pages(ada, "/operations")) == ([[1]], [[2]], [[2, 1]])


def test_the_workflows_are_listed_with_what_they_ask_for(bob: Caller) -> None:
    listed = json_of(bob.get("/workflows"))["workflows"]

    names = [workflow["name"] for workflow in listed]
    assert names == sorted(names)
    assert {"add-numbers", "count-by", "three"} <= {*names}
    count_by = listed[names.index("count-by")]
    assert count_by["summary"] == "Count the rows of a CSV file by the columns named."
    assert count_by["parameters"]["required"] == ["path", "by"]
