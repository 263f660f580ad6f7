"""Signing in to the console, and what a session is good for."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from pausable import clock
from pausable.db.tables import ended_sessions
from pausable.db.users import prefix_of, revoke_token, user_named
from tests.databases import on_both
from tests.web.browsing import Visitor
from tests.web.calling import everything
from tests.web.serving import token_of

if TYPE_CHECKING:
    from flask import Flask

    from pausable.db.database import Database
    from tests.web.calling import Caller
    from tests.web.serving import Served

COOKIE = "operations-console"


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


def test_whoever_is_not_signed_in_is_led_there_and_back(visitor: Visitor) -> None:
    asked = visitor.see("/console/operations?completion=FAILED")
    page = visitor.follow()

    assert asked.status_code == 303
    signed_in = visitor.post("/console/sign-in", token=token_of("bob"), next="/console/operations?completion=FAILED")

    assert 'value="/console/operations?completion=FAILED"' in page.text
    assert signed_in.headers["Location"] == "/console/operations?completion=FAILED"
    assert "FAILED" in visitor.follow().text


def test_a_token_that_opens_nothing_is_refused_where_it_was_typed_and_not_shown(visitor: Visitor) -> None:
    visitor.see("/console/sign-in")

    refused = visitor.post("/console/sign-in", token="a-token-that-nobody-has")

    assert refused.status_code == 401
    assert 'aria-invalid="true"' in refused.text
    assert "a-token-that-nobody-has" not in refused.text
    assert visitor.see("/console/operations").status_code == 303


def test_tokens_that_open_nothing_are_limited_as_everywhere(visitor: Visitor, served: Served) -> None:
    visitor.see("/console/sign-in")

    for number in range(served.settings.failed_tokens_per_minute):
        visitor.post("/console/sign-in", token=f"a-token-that-nobody-has-{number}")

    refused = visitor.post("/console/sign-in", token="one-more-that-nobody-has")
    assert (refused.status_code, "try again in" in refused.text) == (429, True)


def test_the_cookie_is_for_the_console_alone_and_holds_no_token(visitor: Visitor) -> None:
    visitor.see("/console/sign-in")
    signed_in = visitor.post("/console/sign-in", token=token_of("bob"))

    cookie = signed_in.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/console"} <= {part.strip() for part in cookie.split(";")}
    assert token_of("bob") not in cookie
    assert visitor.client.get("/operations").status_code == 401


def test_over_https_the_cookie_travels_no_other_way(app: Flask) -> None:
    answer = app.test_client().get("/console/sign-in", base_url="https://operations.example")

    assert "Secure" in answer.headers["Set-Cookie"]


def test_a_session_ends_with_its_token(visitor: Visitor, database: Database) -> None:
    visitor.sign_in("bob")
    with database.write() as tx:
        bob = user_named(tx, "bob")
        assert bob
        revoke_token(tx, bob.id, prefix_of(token_of("bob")), clock.now())

    asked = visitor.see("/console/operations")

    assert asked.status_code == 303
    assert "Your session has expired" in visitor.follow().text


def test_a_session_that_is_too_old_says_so_and_leads_back(app: Flask, visitor: Visitor) -> None:
    visitor.sign_in("bob")
    app.permanent_session_lifetime = timedelta(seconds=-1)

    visitor.see("/console/operations?workflow=three")

    assert "Your session has expired" in visitor.follow().text
    assert 'value="/console/operations?workflow=three"' in (visitor.page.text if visitor.page else "")


def test_a_page_that_is_open_is_told_that_its_session_is_over(visitor: Visitor) -> None:
    assert visitor.see("/console/operations", **{"HX-Request": "true"}).status_code == 401
    assert visitor.see("/console/operations/stream", Accept="text/event-stream").status_code == 401


def test_who_signs_out_is_out(visitor: Visitor) -> None:
    visitor.sign_in("bob").see("/console/operations")

    visitor.post("/console/sign-out")

    assert "You are signed out." in visitor.follow().text
    assert visitor.see("/console/operations").status_code == 303


@on_both
def test_the_cookie_of_a_session_that_was_ended_opens_nothing(visitor: Visitor) -> None:
    cookie = visitor.sign_in("bob").client.get_cookie(COOKIE, path="/console")
    assert cookie
    visitor.see("/console/operations")
    visitor.post("/console/sign-out")

    visitor.client.set_cookie(COOKIE, cookie.value, path="/console")

    assert visitor.see("/console/operations").status_code == 303


@on_both
def test_whoever_signs_out_here_stays_signed_in_elsewhere(app: Flask) -> None:
    here, elsewhere = Visitor(app).sign_in("bob"), Visitor(app).sign_in("bob")
    here.see("/console/operations")

    here.post("/console/sign-out")

    assert elsewhere.see("/console/operations").status_code == 200


def test_ended_sessions_are_forgotten_once_their_cookies_are_too_old(visitor: Visitor, database: Database) -> None:
    for day in (0, 1):
        with clock.frozen_at(clock.now() + 90_000 * day):
            visitor.sign_in("bob").see("/console/operations")
            visitor.post("/console/sign-out")

    with database.read() as tx:
        assert tx.execute(select(func.count()).select_from(ended_sessions)).scalar_one() == 1


def test_sessions_outlive_the_web_server(visitor: Visitor, app: Flask) -> None:
    visitor.sign_in("bob")
    app.secret_key = None  # as a process has it that starts anew

    assert visitor.see("/console/operations").status_code == 200


@pytest.mark.parametrize("verb", ["pause", "cancel"])
@pytest.mark.parametrize("key", [None, "made-up"])
def test_a_form_of_another_site_changes_nothing(
    visitor: Visitor, bob: Caller, database: Database, verb: str, key: str | None
) -> None:
    address = bob.start("three")
    visitor.sign_in("bob")
    before = everything(database)

    refused = visitor.client.post(f"/console{address}/{verb}", data={} if key is None else {"csrf_token": key})

    assert refused.status_code == 303
    assert everything(database) == before
    visitor.page = refused
    assert "nothing was done" in visitor.follow().text


def test_the_key_of_one_person_s_page_is_worth_nothing_to_another(app: Flask, bob: Caller, database: Database) -> None:
    address = bob.start("three")
    eve, victim = Visitor(app).sign_in("eve"), Visitor(app).sign_in("bob")
    eve.see("/console/operations")
    before = everything(database)

    victim.client.post(f"/console{address}/cancel", data={"csrf_token": eve.key()})

    assert everything(database) == before


def test_nothing_of_the_console_is_kept_by_caches_or_framed(visitor: Visitor) -> None:
    headers = visitor.sign_in("bob").see("/console/operations").headers

    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]


def test_without_a_session_no_page_answers(app: Flask, visitor: Visitor) -> None:
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("console.")]
    closed = [rule for rule in rules if not rule.endpoint.startswith("console.sign_in")]

    for rule in closed:
        values = dict.fromkeys(rule.arguments, 1) | {
            "verb": "pause",
            "slug": "give-1",
            "rest": "x",
            "workflow": "three",
        }
        address = rule.build({name: values[name] for name in rule.arguments})
        assert address, rule
        method = "POST" if "POST" in (rule.methods or set()) else "GET"
        assert visitor.client.open(address[1], method=method).status_code in (303, 401), rule


def test_a_page_that_asks_by_itself_makes_the_session_last_no_longer(visitor: Visitor) -> None:
    visitor.sign_in("bob").see("/console/operations")

    renewed = visitor.see("/console/operations")
    asked = visitor.see("/console/operations", **{"HX-Request": "true"})

    assert "Set-Cookie" in renewed.headers
    assert "Set-Cookie" not in asked.headers
