"""Every error is a problem of a kind that the docs tell of, and no error tells what is nobody's business."""

from __future__ import annotations

import re
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from app.web.problems import HTTP_KINDS, TYPE_PREFIX
from pausable.errors import RequestFailed
from tests.web.calling import Caller, problem, slug

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask, Response

DOCS = Path(__file__).parents[2] / "docs" / "http.md"


def below(error: type[RequestFailed]) -> Iterator[type[RequestFailed]]:
    for one in error.__subclasses__():
        yield one
        yield from below(one)


KINDS = [error for error in below(RequestFailed) if "slug" in vars(error)]


def test_the_docs_tell_of_every_kind_and_of_no_other() -> None:
    rows = re.findall(r"^\| (\d+) \| `([a-z-]+)` \|", DOCS.read_text(), re.MULTILINE)

    assert {(int(status), slug) for status, slug in rows} == {
        *((kind.status, kind.slug) for kind in KINDS),
        *((kind.status, kind.slug) for kind in HTTP_KINDS.values()),
    }


def test_each_kind_has_a_slug_of_its_own() -> None:
    slugs = [kind.slug for kind in KINDS] + [kind.slug for kind in HTTP_KINDS.values()]

    assert len({*slugs}) == len(slugs)


@pytest.mark.parametrize("error", [kind for kind in KINDS if kind.status == 409])
def test_whatever_is_refused_with_409_tells_where_the_operation_stands(error: type[Exception]) -> None:
    assert "completion" in signature(error).parameters


def test_an_address_that_is_unknown_gets_a_problem_without_a_token(stranger: Caller) -> None:
    unknown = stranger.get("/nowhere")

    assert problem(unknown) == {
        "type": f"{TYPE_PREFIX}address-unknown",
        "title": "There is nothing at this address",
        "status": 404,
        "detail": "There is nothing at /nowhere; /docs shows what there is.",
    }


def test_a_failure_of_the_service_gets_a_problem_that_tells_nothing_of_its_inside(app: Flask, stranger: Caller) -> None:
    def fail() -> Response:
        raise LookupError("the password is sesame")

    app.view_functions["health.healthz"] = fail

    failed = stranger.get("/healthz")

    assert (failed.status_code, slug(failed)) == (500, "failure")
    assert "sesame" not in failed.text


def test_a_redirect_is_no_problem(stranger: Caller) -> None:
    assert stranger.get("/").headers["Location"] == "/console/"


@pytest.mark.parametrize("address", ["/healthz", "/nowhere", "/operations", "/docs", "/static/docs.js"])
def test_every_answer_keeps_browsers_careful(stranger: Caller, address: str) -> None:
    headers = stranger.get(address).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"].startswith("default-src 'self';")
    assert "unsafe" not in headers["Content-Security-Policy"]
