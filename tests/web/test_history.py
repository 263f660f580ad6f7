"""Steps, events and workflow.json of an operation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.web.calling import Caller, json_of, problem, slug

if TYPE_CHECKING:
    from tests.web.serving import Served


def in_pages(caller: Caller, address: str, name: str) -> list[list[Any]]:
    """What the pages hold, following `next`, which the header Link says too."""
    found = []
    following: str | None = address
    while following:
        answer = caller.get(following)
        found.append(json_of(answer)[name])
        following = json_of(answer)["next"]
        assert answer.headers.get("Link") == (f'<{following}>; rel="next"' if following else None)
    return found


def test_steps_are_given_in_pages_in_topological_order(bob: Caller, served: Served) -> None:
    place = bob.start("three", value=7)
    served.deliver()

    pages = in_pages(bob, f"{place}/steps?limit=2", "steps")

    assert [[(step["slug"], step["state"]) for step in page] for page in pages] == [
        [("give-1", "Success"), ("give-2", "Queued")],
        [("give-3", "Pending")],
    ]
    assert (pages[0][0]["result"], pages[0][0]["runs"], pages[0][0]["task"]) == (7, 1, "tests.web.flows.give")


def test_a_failed_step_shows_what_it_raised(bob: Caller, served: Served) -> None:
    place = bob.start("fails")
    for _ in range(2):
        served.deliver()

    [(_, failed, skipped)] = in_pages(bob, f"{place}/steps", "steps")

    assert (failed["state"], failed["error"]["message"]) == ("Failed", "no such number")
    assert (skipped["state"], skipped["error"]) == ("TriggerFailed", None)


def test_the_history_tells_who_changed_what_from_where_to_where(bob: Caller, served: Served) -> None:
    place = bob.start("three")
    served.deliver()
    bob.post(f"{place}/pause", {"reason": "lunch"})

    pages = in_pages(bob, f"{place}/events?limit=3", "events")

    assert [(event["who"], event["old"], event["new"], event["why"]) for page in pages for event in page] == [
        ("bob", None, "SCHEDULED", None),
        ("worker", "SCHEDULED", "IN PROGRESS", None),
        ("bob", "IN PROGRESS", "REQUESTING PAUSE", "lunch"),
        ("worker", "REQUESTING PAUSE", "PAUSED", "lunch"),
    ]
    assert [len(page) for page in pages] == [3, 1]


def test_the_picture_shows_each_step_as_it_stands(bob: Caller, served: Served) -> None:
    place = bob.start("three")
    served.deliver()

    answer = bob.get(f"{place}/graph.svg")

    assert answer.content_type == "image/svg+xml"
    assert answer.text.startswith("<svg ")
    [steps] = in_pages(bob, f"{place}/steps", "steps")
    assert [step["slug"] for step in steps if f">{step['slug']}<" not in answer.text] == []
    assert "Success" in answer.text


def test_the_document_of_a_paused_operation_is_given_byte_by_byte(bob: Caller, served: Served) -> None:
    place = bob.start("three", value="ü")
    bob.post(f"{place}/pause")

    answer = bob.get(f"{place}/workflow.json")

    assert answer.mimetype == "application/json"
    assert answer.data == next(Path(served.settings.workflow_store).rglob("workflow.json")).read_bytes()
    assert json_of(answer)["arguments"] == {"value": "ü"}


def test_an_operation_that_is_not_paused_has_no_document(bob: Caller) -> None:
    place = bob.start("three")
    bob.post(f"{place}/pause")
    bob.post(f"{place}/resume")

    refused = bob.get(f"{place}/workflow.json")

    assert (refused.status_code, slug(refused)) == (409, "document-not-written")
    assert problem(refused)["completion"] == "IN PROGRESS"


def test_an_altered_document_is_not_given(bob: Caller, served: Served) -> None:
    place = bob.start("three")
    bob.post(f"{place}/pause")
    next(Path(served.settings.workflow_store).rglob("workflow.json")).write_text("{}")

    refused = bob.get(f"{place}/workflow.json")

    assert (refused.status_code, slug(refused), problem(refused)["completion"]) == (409, "document-unusable", "PAUSED")


def test_the_log_of_a_step_is_given_as_text(bob: Caller, served: Served) -> None:
    place = bob.start("says", words="<script>alert(1)</script>\r\nSet-Cookie: a=b")
    served.deliver()

    answer = bob.get(f"{place}/steps/say/log")

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "WARNING sayings: <script>alert(1)</script>\r\nSet-Cookie: a=b\n" in answer.text


def test_a_step_that_has_logged_nothing_has_an_empty_log(bob: Caller) -> None:
    assert bob.get(f"{bob.start('three')}/steps/give-1/log").text == ""


@pytest.mark.parametrize("name", ["nobody", "give-1%00", "%2e%2e", "give-1'--"])
def test_a_step_that_is_not_there_has_no_log(bob: Caller, name: str) -> None:
    refused = bob.get(f"{bob.start('three')}/steps/{name}/log")

    assert (refused.status_code, slug(refused)) == (404, "step-not-found")


def test_a_log_is_for_the_requester_alone(bob: Caller, eve: Caller, ada: Caller) -> None:
    log = f"{bob.start('three')}/steps/give-1/log"

    assert (eve.get(log).status_code, slug(eve.get(log))) == (404, "operation-not-found")
    assert ada.get(log).status_code == 200
