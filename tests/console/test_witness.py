"""The witness hears what it must: each of these pages does one thing that no page of ours may do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.console.judging import violations
from tests.web.serving import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.console.witness import Witness

_INLINE = "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.bad = 1'}))"
_BAD = [
    ("about:blank", "console.error('bad')", "console error: bad"),
    ("about:blank", "console.warn('bad')", "console warning: bad"),
    ("about:blank", "setTimeout(() => { throw new Error('bad') })", "script error: bad"),
    ("about:blank", "setTimeout(() => alert('bad'))", "dialog: bad"),
    ("about:blank", "fetch('http://elsewhere.invalid/').catch(() => 0)", "request elsewhere: http://elsewhere.inv"),
    ("about:blank", "fetch('http://127.0.0.1:9/').catch(() => 0)", "no answer: GET http://127.0.0.1:9/"),
    ("/healthz", "fetch('/no-such-page')", "404: GET http://"),
    ("/healthz", _INLINE, "console error: policy refused script-src-elem: inline"),
]


@pytest.mark.parametrize(("address", "script", "told"), _BAD)
def test_a_page_that_does_what_it_may_not_is_told_of(
    page: Page, witness: Witness, witnesses: list[Witness], address: str, script: str, told: str
) -> None:
    page.goto(address)
    before = [*witness.faults]

    page.evaluate(f"() => {{ {script} }}")

    wait_for(lambda: page.evaluate("true") and any(told in fault for fault in witness.faults))
    assert before == []
    witnesses.clear()  # it has done well: what more it hears is meant


def test_a_page_that_a_part_of_people_cannot_use_is_told_of(page: Page) -> None:
    page.set_content("<html lang=en><title>t</title><main><h1>h</h1><input></main>")

    assert [found.partition(":")[0] for found in violations(page)] == ["label"]


def test_the_page_of_the_api_needs_nothing_from_elsewhere(page: Page) -> None:
    page.goto("/docs")

    page.get_by_text("/operations/{operation_id}/pause").first.wait_for()
