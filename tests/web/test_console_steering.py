"""What the buttons of the console do, and what they say when it cannot be done."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.web.browsing import Visitor, number, rows
from tests.web.calling import json_of

if TYPE_CHECKING:
    from flask import Flask

    from tests.web.calling import Caller
    from tests.web.serving import Served


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """Bob, signed in."""
    return Visitor(app).sign_in("bob")


def test_while_a_step_is_in_hand_a_pause_says_that_it_will_finish_first(
    visitor: Visitor, bob: Caller, served: Served
) -> None:
    address = bob.start("three")
    served.claim(address)
    visitor.see(f"/console{address}")

    visitor.post(f"/console{address}/pause", reason="the night")

    page = visitor.follow().text
    assert "Pausing… waiting for the running step to finish: give-1." in page
    assert "Withdraw the pause" in page
    assert json_of(bob.get(address))["reason"] == "the night"


def test_buttons_pause_resume_and_cancel(visitor: Visitor, bob: Caller) -> None:
    address = bob.start("three")
    visitor.see(f"/console{address}")

    stood = []
    for verb in ("pause", "resume", "cancel"):
        visitor.post(f"/console{address}/{verb}")
        visitor.follow()
        stood.append(bob.completion(address))

    assert stood == ["PAUSED", "IN PROGRESS", "CANCELLED"]


def test_what_is_no_longer_allowed_says_why_and_shows_how_it_stands(visitor: Visitor, bob: Caller) -> None:
    address = bob.start("three")
    visitor.see(f"/console{address}")
    bob.post(f"{address}/cancel")

    visitor.post(f"/console{address}/pause")

    page = visitor.follow().text
    assert "Nothing was done." in page
    assert "Cancelled: no more steps will run." in page


def test_the_same_is_asked_of_all_that_are_selected(visitor: Visitor, bob: Caller) -> None:
    started = [bob.start("three") for _ in range(4)]
    bob.post(f"{started[0]}/cancel")
    visitor.see("/console/operations?workflow=three")

    visitor.post(
        "/console/operations/pause",
        id=[str(number(one)) for one in started[:3]] + ["999999"],
        next="/console/operations?workflow=three",
    )

    assert visitor.page
    assert visitor.page.headers["Location"] == "/console/operations?workflow=three"
    page = visitor.follow().text
    assert "2 operations were asked to pause." in page
    assert "1 operation was skipped: CANCELLED operations cannot do that." in page
    assert "1 operation was skipped: there is no such operation any more." in page
    assert [bob.completion(one) for one in started] == ["CANCELLED", "PAUSED", "PAUSED", "SCHEDULED"]


def test_one_of_the_list_is_steered_from_its_row(visitor: Visitor, bob: Caller) -> None:
    address = bob.start("three")
    visitor.see("/console/operations")

    visitor.post(f"/console{address}/row/pause", next="/console/operations?completion=PAUSED")

    assert visitor.page is not None
    assert visitor.page.headers["Location"].endswith(f"#operation-{number(address)}")
    assert rows(visitor.follow().text) == [number(address)]


def test_a_form_that_is_sent_without_a_button_does_nothing_and_says_so(visitor: Visitor, bob: Caller) -> None:
    address = bob.start("three")
    visitor.see(f"/console{address}")

    visitor.post("/console/choose", next=f"/console{address}", reason="a deploy")

    assert "Nothing was done. Press the button of the action that you want." in visitor.follow().text
    assert bob.completion(address) == "SCHEDULED"


def test_the_fault_of_an_operation_s_own_handler_names_no_step(visitor: Visitor, bob: Caller, served: Served) -> None:
    address = bob.start("judged")
    served.deliver()

    page = visitor.see(f"/console{address}").text

    assert "A state handler of the operation failed it" in page
    assert "Step <b>" not in page


def test_without_a_selection_nothing_is_done(visitor: Visitor) -> None:
    visitor.see("/console/operations")

    visitor.post("/console/operations/cancel")

    assert "Nothing is selected" in visitor.follow().text


def test_another_s_operation_cannot_be_steered(visitor: Visitor, eve: Caller) -> None:
    hers = eve.start("three")
    visitor.see("/console/operations")

    assert visitor.post(f"/console{hers}/cancel").status_code == 404
    visitor.see("/console/operations")
    visitor.post("/console/operations/cancel", id=str(number(hers)))
    assert eve.completion(hers) == "SCHEDULED"


def test_a_pause_may_end_by_itself(visitor: Visitor, bob: Caller) -> None:
    address = bob.start("three")
    visitor.see(f"/console{address}")
    year = datetime.now(UTC).year + 2

    visitor.post(f"/console{address}/pause", resume_at=f"{year}-01-31T08:00")

    assert json_of(bob.get(address))["resume_at"] == f"{year}-01-31T08:00:00.000Z"
    assert f"It resumes automatically at {year}-01-31 08:00:00 UTC." in visitor.follow().text


@pytest.mark.parametrize(
    ("moment", "why"), [("soon", "It is no date"), ("2001-01-01T00:00", "It is past"), ("2999-01-01", "It lies")]
)
def test_a_moment_that_cannot_be_changes_nothing(visitor: Visitor, bob: Caller, moment: str, why: str) -> None:
    address = bob.start("three")
    visitor.see(f"/console{address}")

    visitor.post(f"/console{address}/pause", resume_at=moment)

    assert why in visitor.follow().text
    assert bob.completion(address) == "SCHEDULED"


def test_a_button_that_asks_for_no_time_takes_none_away(visitor: Visitor, bob: Caller, served: Served) -> None:
    told = f"{datetime.now(UTC).year + 2}-01-31T08:00:00.000Z"
    paused, pausing = bob.start("three"), bob.start("three")
    served.claim(pausing)
    for address in (paused, pausing):
        bob.post(f"{address}/pause", {"resume_at": told})
    visitor.see("/console/operations")

    visitor.post("/console/operations/pause", id=[str(number(paused)), str(number(pausing))])
    visitor.see(f"/console{pausing}")
    visitor.post(f"/console{pausing}/pause", unconfirmed="1")

    assert [json_of(bob.get(one))["resume_at"] for one in (paused, pausing)] == [told, told]


def test_why_it_goes_on_stands_in_the_history(visitor: Visitor, bob: Caller) -> None:
    address = bob.start("three")
    bob.post(f"{address}/pause")
    visitor.see(f"/console{address}")

    visitor.post(f"/console{address}/resume", reason="the disk is back")

    assert json_of(bob.get(f"{address}/events"))["events"][-1]["why"] == "the disk is back"


def test_what_was_moved_is_taken_back_by_an_admin_alone(app: Flask, visitor: Visitor, bob: Caller) -> None:
    address = bob.start("three")
    bob.post(f"{address}/pause")
    bob.post(f"{address}/export")

    page = visitor.see(f"/console{address}").text
    assert ">Resume<" not in page
    assert "Take back" not in page
    admin = Visitor(app).sign_in("ada")
    assert "Take back" in admin.see(f"/console{address}").text
    admin.post(f"/console{address}/resume", accept="moved")

    assert bob.completion(address) == "IN PROGRESS"
