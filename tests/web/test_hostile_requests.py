"""Texts that no database or encoding holds, sent by people: refused with a sentence or kept, on both databases."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.databases import on_both
from tests.web.calling import json_of

if TYPE_CHECKING:
    from tests.web.calling import Caller
    from tests.web.serving import Served

TEXTS = ("a\0b", "\x1b[31m\x07\u202e", "\U0001f600", "://a:" * 50_000, '"}]{', "__type__")


@on_both
@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:12]))
def test_any_text_may_be_an_argument_and_comes_back(served: Served, bob: Caller, text: str) -> None:
    address = bob.start("three", value={"text": text, text: 1})

    assert bob.post(f"{address}/pause").status_code in (200, 202)
    assert bob.get(f"{address}/preflight").status_code == 200
    assert bob.get(f"{address}/explain").status_code == 200
    assert bob.post(f"{address}/resume").status_code == 202
    while bob.completion(address) != "COMPLETED":
        served.deliver()

    assert bob.get(f"{address}/result").json == {"text": text, text: 1}
    assert bob.get(f"{address}/steps").status_code == 200
    assert json_of(bob.get(address))["arguments"] == {"value": {"text": text, text: 1}}


@on_both
@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:12]))
def test_any_text_in_any_other_place_is_kept_or_refused_with_a_sentence(served: Served, bob: Caller, text: str) -> None:
    address, named = bob.start("three", value=1), quote(text[:500])

    answers = [
        bob.post(f"{address}/pause", {"reason": text}),
        bob.post(f"{address}/resume", {"reason": text}),
        bob.post("/operations", {"workflow": text, "arguments": {}}),
        bob.post("/operations", {"workflow": "three", "arguments": {text: 1}}),
        bob.get(f"/operations?workflow={named}"),
        bob.get(f"{address}/steps/{named}/log"),
        bob.get(f"{address}/steps/{named}/result"),
        bob.post(f"{address}/export", {"to": text}),
        bob.post("/operations/cancel", {"workflow": text}),
    ]

    assert all(answer.status_code < 500 for answer in answers), [(one.status_code, one.text) for one in answers]
    assert len(bob.get(f"{address}/events").text) < 50_000


@pytest.mark.parametrize("place", ["arguments", "reason", "workflow"])
def test_half_a_surrogate_in_a_body_is_refused_as_no_json(served: Served, bob: Caller, place: str) -> None:
    address = bob.start("three", value=1)
    bodies = {
        "arguments": ("/operations", '{"workflow": "three", "arguments": {"value": "\\ud83d"}}'),
        "workflow": ("/operations", '{"workflow": "\\ud83d", "arguments": {}}'),
        "reason": (f"{address}/pause", '{"reason": "\\ud83d"}'),
    }
    at, body = bodies[place]

    answer = bob.ask("POST", at, data=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400
    assert json.loads(answer.text)["detail"]
