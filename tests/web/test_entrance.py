"""Requests wait for a place with a deadline, and the service tells how it is without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app.web.operations import Entrance
from tests.web.calling import Caller, slug

if TYPE_CHECKING:
    from tests.web.serving import Served


@pytest.fixture(autouse=True)
def _full(served: Served) -> None:
    """Every place is taken for good."""
    served.app.before_request_funcs[None].insert(0, Entrance(0, patience=0.0).enter)


def test_health_and_readiness_are_told_though_every_place_is_taken(stranger: Caller) -> None:
    assert stranger.get("/healthz").status_code == 200
    assert slug(stranger.get("/readyz")) == "not-ready"


def test_a_request_that_gets_no_place_in_time_is_told_when_to_come_again(bob: Caller) -> None:
    refused = bob.get("/operations")

    assert (refused.status_code, slug(refused)) == (503, "service-busy")
    assert int(refused.headers["Retry-After"]) > 0
