"""Who may ask: those with a token, of their own operations; an admin of all."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from pausable import clock
from pausable.db.users import prefix_of, revoke_token, user_named
from tests.web.calling import Caller, everything, json_of, problem, slug
from tests.web.serving import token_of

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from pausable.db.database import Database

OPEN = ["/", "/docs", "/healthz", "/openapi.json", "/readyz", "/static/docs.js"]
ABOUT_ONE = [
    "GET /operations/1",
    "GET /operations/1/status",
    "GET /operations/1/steps",
    "GET /operations/1/steps/give-1/log",
    "GET /operations/1/steps/give-1/result",
    "GET /operations/1/result",
    "GET /operations/1/events",
    "GET /operations/1/graph.svg",
    "GET /operations/1/workflow.json",
    "GET /operations/1/explain",
    "GET /operations/1/preflight",
    "GET /operations/1/edits",
    "POST /operations/1/export",
    "POST /operations/1/undo",
    "POST /operations/1/pause",
    "POST /operations/1/resume",
    "POST /operations/1/cancel",
    "POST /operations/1/retry",
]
CLOSED = [
    "GET /metrics",
    "GET /workflows",
    "GET /operations",
    "POST /operations",
    "POST /operations/import",
    "POST /operations/pause",
    "POST /operations/resume",
    "POST /operations/cancel",
    "GET /bulks",
    "GET /bulks/1",
    "POST /bulks/1/stop",
    *ABOUT_ONE,
]


def _named(rule: str) -> str:
    for part, name in (("<id:operation_id>", "1"), ("<id:bulk_id>", "1"), ("<slug>", "give-1")):
        rule = rule.replace(part, name)
    return rule.replace("<path:filename>", "docs.js")


def test_every_address_is_open_or_closed(app: Flask) -> None:
    rules = [rule for rule in app.url_map.iter_rules() if not rule.endpoint.startswith("console.")]
    every = {_named(rule.rule) for rule in rules}

    assert every == {*OPEN, *(request.partition(" ")[2] for request in CLOSED)}


@pytest.mark.parametrize("address", OPEN)
def test_what_is_open_needs_no_token(stranger: Caller, address: str) -> None:
    assert stranger.get(address).status_code in (200, 302, 503)


@pytest.mark.parametrize("request_", CLOSED)
def test_without_a_token_nothing_else_answers(bob: Caller, stranger: Caller, database: Database, request_: str) -> None:
    bob.start("three")
    before = everything(database)

    refused = stranger.ask(*request_.split(" "))

    assert (refused.status_code, slug(refused)) == (401, "token-refused")
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="operations"'
    assert everything(database) == before


@pytest.mark.parametrize("request_", CLOSED)
def test_a_token_that_nobody_has_opens_nothing(client: FlaskClient, request_: str) -> None:
    refused = Caller(client, "a-token-that-nobody-has").ask(*request_.split(" "))

    assert (refused.status_code, slug(refused)) == (401, "token-refused")
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="operations", error="invalid_token"'


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic Ym9iOmJvYg==", "the-token-of-bob", "Bearerthe-token-of-bob", "Bearer \xff"],
)
def test_what_is_no_bearer_token_is_refused(stranger: Caller, header: str) -> None:
    assert stranger.get("/operations", Authorization=header) == 401


def test_the_scheme_is_written_as_one_likes(stranger: Caller) -> None:
    assert stranger.get("/operations", Authorization="bearer  the-token-of-bob") == 200


def test_a_token_in_a_cookie_or_in_the_address_is_none(client: FlaskClient, stranger: Caller) -> None:
    client.set_cookie("token", token_of("bob"))

    assert stranger.get("/operations?access_token=the-token-of-bob") == 401


def test_a_revoked_token_opens_nothing_from_then_on(bob: Caller, database: Database) -> None:
    assert bob.get("/operations") == 200

    with database.write() as tx:
        user = user_named(tx, "bob")
        assert user
        revoke_token(tx, user.id, prefix_of(token_of("bob")), clock.now())

    assert bob.get("/operations") == 401


@pytest.mark.parametrize("request_", ABOUT_ONE)
def test_another_s_operation_is_as_one_that_there_is_not(
    bob: Caller, eve: Caller, database: Database, request_: str
) -> None:
    bob.start("three")
    before = everything(database)

    foreign = eve.ask(*request_.split(" "))
    absent = eve.ask(*request_.replace("/1", "/7").split(" "))

    assert (foreign.status_code, absent.status_code) == (404, 404)
    assert problem(foreign)["detail"].replace("1", "7") == problem(absent)["detail"]
    assert everything(database) == before


def test_an_admin_steers_the_operations_of_all(ada: Caller, bob: Caller) -> None:
    place = bob.start("three")

    assert ada.post(f"{place}/pause") == 200
    assert json_of(ada.get(place))["requester_id"] == json_of(bob.get(place))["requester_id"]


def test_a_token_is_in_no_log_and_in_no_answer(
    bob: Caller, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    answers = [
        bob.get("/operations"),
        Caller(client, "a-token-that-nobody-has").get("/operations"),
        bob.post("/operations"),
    ]

    told = caplog.text + "".join(answer.text + str(answer.headers) for answer in answers)
    assert "the-token-of-bob" not in told
    assert "a-token-that-nobody-has" not in told
