"""What nobody types and anybody may send to the console is answered as a page, on whichever database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.databases import on_both
from tests.web.browsing import Visitor

if TYPE_CHECKING:
    from flask import Flask

    from tests.web.calling import Caller

_FAR = "9" * 18


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """Bob, signed in."""
    return Visitor(app).sign_in("bob")


@on_both
@pytest.mark.parametrize(
    "query",
    [
        f"?after={_FAR}",
        f"?search={_FAR}",
        f"?search=x&after={_FAR}",
        "?search=%ff%ed%a0%80",
        "?search=%25_%5C",
    ],
)
def test_a_list_is_asked_for_by_anything(visitor: Visitor, bob: Caller, query: str) -> None:
    bob.start("three")

    assert visitor.see(f"/console/operations{query}").status_code == 200


@on_both
@pytest.mark.parametrize(
    "query", [f"?after={_FAR}", f"?after=-{_FAR}", f"?before={_FAR}", f"?before=-{_FAR}", "?after=3000000000"]
)
def test_an_operation_is_asked_for_by_any_number(visitor: Visitor, bob: Caller, query: str) -> None:
    address = bob.start("three")

    assert visitor.see(f"/console{address}{query}").status_code == 200


@on_both
def test_a_reason_that_no_database_takes_is_taken_as_far_as_it_can(visitor: Visitor, bob: Caller) -> None:
    address = bob.start("three")
    visitor.see(f"/console{address}")

    answer = visitor.post(f"/console{address}/pause", reason="lunch\x00 time")

    assert answer.status_code == 303
    assert "lunch time" in visitor.follow().text


@on_both
@pytest.mark.parametrize("end", ["?search=a%00b", "?workflow=three%00", "/1/steps/give%00/log"])
def test_no_address_has_a_sign_that_no_database_takes(visitor: Visitor, end: str) -> None:
    assert visitor.see(f"/console/operations{end}").status_code == 400
