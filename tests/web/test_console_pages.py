"""What the console's pages tell of operations."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from pausable.db.statements import COUNTED
from pausable.model.states import Completion
from tests.web.browsing import SCRIPT, Visitor, number, rows

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask

    from tests.web.calling import Caller
    from tests.web.serving import Served


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """Bob, signed in."""
    return Visitor(app).sign_in("bob")


def buttons(page: str) -> list[str]:
    """What can be asked for on the page of an operation."""
    return re.findall(r'formaction="/console/operations/\d+/(\w+)"', page.partition('id="how"')[0])


def test_the_first_page_leads_to_the_operations(visitor: Visitor) -> None:
    visitor.see("/console/")

    assert "There are no operations yet." in visitor.follow().text


def test_operations_are_listed_the_newest_first_and_only_one_s_own(visitor: Visitor, bob: Caller, eve: Caller) -> None:
    mine = [number(bob.start("three")) for _ in range(3)]
    eve.start("three")

    assert rows(visitor.see("/console/operations").text) == mine[::-1]


def test_an_admin_sees_the_operations_of_all_and_whose_each_is(app: Flask, bob: Caller, eve: Caller) -> None:
    everybody_s = [number(bob.start("three")), number(eve.start("three"))]

    page = Visitor(app).sign_in("ada").see("/console/operations").text

    assert rows(page) == everybody_s[::-1]
    assert re.findall(r'<td class="wide">(bob|eve)</td>', page) == ["eve", "bob"]


def test_operations_are_found_by_workflow_and_completion(visitor: Visitor, bob: Caller) -> None:
    bob.post(f"{bob.start('three')}/cancel")
    failed = number(bob.start("fails"))
    other = number(bob.start("three"))

    assert rows(visitor.see("/console/operations?workflow=fails").text) == [failed]
    assert rows(visitor.see("/console/operations?workflow=three&completion=SCHEDULED").text) == [other]
    assert visitor.see("/console/operations?completion=NOWHERE").status_code == 404


@pytest.mark.parametrize(("words", "places"), [("NEEDLE", [1]), ("need%", []), ("2", [2, 1]), ("fails", [0])])
def test_a_search_finds_ids_and_texts_in_whatever_case(
    visitor: Visitor, bob: Caller, words: str, places: list[int]
) -> None:
    started = [bob.start("fails"), bob.start("three", value="a needle, 12"), bob.start("three", value=2)]
    ids = [number(one) for one in started]
    expected = {ids[place] for place in places} | ({2} & set(ids) if words == "2" else set())

    assert set(rows(visitor.see(f"/console/operations?search={words.replace('%', '%25')}").text)) == expected


def test_a_list_that_is_long_goes_on_where_the_page_ended(visitor: Visitor, bob: Caller) -> None:
    ids = [number(bob.start("three")) for _ in range(53)]

    first = visitor.see("/console/operations?workflow=three").text
    more = re.search(r'href="([^"]+)">Older', first)

    assert more
    assert rows(first) + rows(visitor.see(unescape(more[1])).text) == ids[::-1]


def test_it_is_counted_how_many_stand_where(visitor: Visitor, bob: Caller, served: Served) -> None:
    for _ in range(2):
        bob.start("three")
    bob.post(f"{bob.start('three')}/cancel")

    page = visitor.see("/console/operations").text

    counts = dict(re.findall(r"</svg>([A-Z ]+)</span>\s*<b>([^<]+)</b>", page))
    assert counts == {str(one): "0" for one in Completion} | {"SCHEDULED": "2", "CANCELLED": "1"}
    assert COUNTED == 10_000


@pytest.mark.parametrize(
    ("verbs", "completion", "sentence", "offered"),
    [
        ([], "SCHEDULED", "Waiting for a worker.", ["pause", "cancel"]),
        (["pause"], "PAUSED", "Paused: nothing of it runs anywhere.", ["resume", "cancel"]),
        (["cancel"], "CANCELLED", "Cancelled: no more steps will run.", []),
    ],
)
def test_an_operation_says_where_it_stands_and_offers_what_can_be_asked_then(
    visitor: Visitor, bob: Caller, verbs: list[str], completion: str, sentence: str, offered: list[str]
) -> None:
    address = bob.start("three")
    for verb in verbs:
        bob.post(f"{address}/{verb}", {"reason": "the night"})

    page = visitor.see(f"/console{address}").text

    assert f"<title>three {number(address)}: {completion}" in page
    assert sentence in page
    assert buttons(page) == offered
    assert ("bob, " in page and "“the night”" in page) == bool(verbs)


def test_an_operation_that_failed_tells_in_which_step_and_how(visitor: Visitor, bob: Caller, served: Served) -> None:
    address = bob.start("fails")
    for _ in range(2):
        served.deliver()

    page = visitor.see(f"/console{address}").text

    assert "Step <b>fail</b> failed: <code>ArithmeticError</code>: no such number" in page
    assert "Traceback (most recent call last)" in page
    assert buttons(page) == ["retry"]


def test_an_operation_that_is_complete_shows_its_result(visitor: Visitor, bob: Caller, served: Served) -> None:
    address = bob.start("three", value={"sum": 12})
    for _ in range(3):
        served.deliver()

    page = visitor.see(f"/console{address}").text

    assert "Completed after " in page
    assert "&#34;sum&#34;: 12" in page
    assert json.loads(visitor.see(f"/console{address}/result.json").text) == {"sum": 12}


@pytest.mark.parametrize(
    "address", ["", "/graph.svg", "/result.json", "/workflow.json", "/steps/give-1/log", "/stream"]
)
def test_another_s_operation_is_not_there(visitor: Visitor, eve: Caller, address: str) -> None:
    hers = eve.start("three")

    page = visitor.see(f"/console{hers}{address}")

    assert page.status_code == 404
    assert "There is no such operation" in page.text


def test_a_page_that_is_not_there_says_so(visitor: Visitor) -> None:
    page = visitor.see("/console/nowhere")

    assert page.status_code == 404
    assert "Page not found" in page.text
    assert ">Sign out</button>" in page.text


def test_hostile_text_is_shown_as_text(visitor: Visitor, bob: Caller, served: Served) -> None:
    address = bob.start("three", value={SCRIPT: SCRIPT})
    visitor.see(f"/console{address}")
    visitor.post(f"/console{address}/pause", reason=SCRIPT)
    visitor.see(f"/console/operations?search={SCRIPT}")
    found = visitor.page.text if visitor.page else ""
    paused = visitor.see(f"/console{address}").text
    bob.post(f"{address}/resume")
    for _ in range(3):
        served.deliver()

    for page in (found, paused, visitor.see(f"/console{address}").text):
        assert "alert(1)" in page
        assert "<script>alert" not in page
        assert "<img src=x" not in page


def test_pages_run_no_script_and_no_style_that_stands_in_them(visitor: Visitor, bob: Caller) -> None:
    address = bob.start("three")

    for place in ("/console/operations", f"/console{address}", "/console/sign-in"):
        page = visitor.see(place).text
        assert re.findall(r"<script(?! src=)|<style|\son\w+=|\sstyle=|https?://(?!www\.w3\.org/2000/svg)", page) == []


def test_files_are_sent_compressed_and_kept_for_good(visitor: Visitor) -> None:
    page = visitor.see("/console/operations").text
    address = re.search(r'"(/static/vendor/pico[^"]+)"', page)
    assert address

    sent = visitor.see(unescape(address[1]), **{"Accept-Encoding": "gzip"})
    plain = visitor.see(unescape(address[1]))

    assert sent.headers["Content-Encoding"] == "gzip"
    assert "immutable" in sent.headers["Cache-Control"]
    assert len(sent.data) < len(plain.data) / 4


def test_a_step_s_log_can_be_read(visitor: Visitor, bob: Caller, served: Served, tmp_path: Path) -> None:
    address = bob.start("talks", word=SCRIPT)
    served.deliver()

    log = visitor.see(f"/console{address}/steps/talk/log")

    assert "logged" in log.text
    assert log.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert log.headers["X-Content-Type-Options"] == "nosniff"


def test_an_operation_that_waits_says_for_what(visitor: Visitor, bob: Caller) -> None:
    page = visitor.see(f"/console{bob.start('three')}").text

    assert "No worker is alive" in page
