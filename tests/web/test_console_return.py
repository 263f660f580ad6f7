"""Where the console leads after a form and after signing in: into itself alone, and back to what was not done."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.web.browsing import Visitor
from tests.web.calling import everything
from tests.web.serving import token_of

if TYPE_CHECKING:
    from flask import Flask

    from pausable.db.database import Database
    from tests.web.calling import Caller

COOKIE = "operations-console"
#: Addresses that are none, that lead elsewhere in some browser, or that no header can hold.
HOSTILE = (
    "//[",
    "/console/..//x",
    "/console/%2E%2e/operations",
    "\\\\evil.example",
    "/console\\..\\..\\evil.example",
    "https:evil.example",
    "/\t/evil.example",
    "/console/\x1b",
    "/console/\x00",
    "/console/\r\nSet-Cookie: a=b",
)


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


@pytest.mark.parametrize(
    "place",
    [
        "//elsewhere.example/",
        "https://elsewhere.example/console/",
        "/operations",
        "/\\elsewhere.example",
        "/console",
        "",
        *HOSTILE,
    ],
)
def test_signing_in_leads_nowhere_but_into_the_console(visitor: Visitor, place: str) -> None:
    visitor.see("/console/sign-in")

    signed_in = visitor.post("/console/sign-in", token=token_of("bob"), next=place)

    assert signed_in.headers["Location"] == "/console/"


@pytest.mark.parametrize("place", HOSTILE)
def test_a_form_leads_nowhere_but_into_the_console(visitor: Visitor, bob: Caller, place: str) -> None:
    address = f"/console{bob.start('three')}"
    visitor.sign_in("bob").see("/console/operations")
    forms = ("/console/operations/pause", f"{address}/row/cancel", f"{address}/pause")

    led = [visitor.client.post(one, data={"next": place}).headers["Location"] for one in forms]
    for one in forms[:2]:
        visitor.see("/console/operations")
        led.append(visitor.post(one, next=place).headers["Location"])

    assert {one.partition("#")[0] for one in led} == {"/console/"}
    if "\x00" not in place:
        assert 'name="next" value="/console/"' in Visitor(visitor.app).see(f"/console/sign-in?next={quote(place)}").text


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_form_sent_after_the_session_was_over_is_led_back_to_and_told_to_be_undone(
    app: Flask, visitor: Visitor, database: Database, is_kept: bool
) -> None:
    form = "/console/start/three"
    visitor.sign_in("bob").see(form)
    before = everything(database)
    app.permanent_session_lifetime = timedelta(hours=-1)
    if not is_kept:  # as browsers do with a cookie that is too old
        visitor.client.delete_cookie(COOKIE, path="/console")

    visitor.post(form, next=form)
    asked = visitor.follow().text
    app.permanent_session_lifetime = timedelta(hours=1)
    refused = visitor.post("/console/sign-in", token="mistyped", next=form, undone="1").text
    back = visitor.post("/console/sign-in", token=token_of("bob"), next=form, undone="1")

    for page in (asked, refused):
        assert "your last action was not carried out" in page
        assert f'name="next" value="{form}"' in page
        assert 'name="undone" value="1"' in page
    assert back.headers["Location"] == form
    assert "was not carried out: your session had expired" in visitor.follow().text
    assert everything(database) == before


def test_signing_out_of_a_session_that_is_over_is_not_told_to_be_undone(visitor: Visitor) -> None:
    visitor.sign_in("bob").see("/console/operations")
    visitor.client.delete_cookie(COOKIE, path="/console")

    visitor.post("/console/sign-out")

    assert "not done" not in visitor.follow().text
