"""Text that others have written is shown as text: in names, arguments, results, errors, logs, reasons, addresses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from pausable.model.states import Completion
from tests.console.acting import begin, button, row, show

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

    from tests.console.installation import Installation

PAYLOADS = [
    "<script>window.bad=1;alert('bad')</script>",
    "<img src=x onerror=alert('bad')>",
    "\"'><svg onload=alert('bad')>",
    "</title></textarea></pre><iframe src=javascript:alert('bad')></iframe>",
    "{{ 7 * 7 }}<a href=javascript:alert('bad') hx-get=/console/ hx-trigger=load>x</a>",
    "<div hx-on:load=\"alert('bad')\" hx-sse:connect=/console/></div><!--",
    "]]></svg><style>*{display:none}</style>\u202e\u0000"[:-1],
]
ALL = " ".join(PAYLOADS)
#: Elements that a payload would have made, were it markup.
MADE = "iframe, textarea, [onerror], [onload], [hx-get], [hx-trigger], [href^='javascript:'], script:not([src]), style"


def harmless(page: Page) -> None:
    """Nothing of it became an element, and nothing of it ran; the witness hears dialogs and what the policy refused."""
    expect(page.get_by_role("contentinfo")).to_be_visible()
    assert page.locator(MADE).count() == 0
    assert page.evaluate("window.bad") is None


def in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def told(where: Locator, write: Callable[[str], str] = str) -> None:
    for payload in PAYLOADS:
        expect(where.filter(has_text=write(payload)).first).to_be_attached()


def test_in_arguments_a_result_and_a_log(page: Page, installation: Installation) -> None:
    person = installation.invite()
    operation_id = installation.start(person, "echo", words=ALL)
    installation.wait_until(person, operation_id, Completion.COMPLETED)
    begin(page, person)

    show(page, operation_id)

    harmless(page)
    told(page.locator("section", has=page.get_by_role("heading", name="Result")), in_json)
    told(page.locator("section", has=page.get_by_role("heading", name="Details")), in_json)
    page.get_by_role("link", name="say-1", exact=True).click()
    expect(page.locator("body")).to_contain_text(PAYLOADS[0])
    assert page.evaluate("[document.contentType, document.body.children.length]") == ["text/plain", 1]


def test_in_an_error_and_its_traceback(page: Page, installation: Installation) -> None:
    person = installation.invite()
    operation_id = installation.start(person, "import-orders", words=ALL)
    installation.wait_until(person, operation_id, Completion.FAILED)
    begin(page, person)

    show(page, operation_id)

    harmless(page)
    told(page.locator(".fault"))
    expect(page.locator(".fault pre")).to_contain_text(f"LookupError: {PAYLOADS[0]}")
    told(page.locator("#history li"))


def test_in_reasons_and_in_what_the_history_tells(page: Page, installation: Installation) -> None:
    person = installation.invite()
    operation_id, gate = installation.start_at_gate(person)
    begin(page, person)
    show(page, operation_id)

    page.get_by_text("With a reason…").click()
    page.get_by_label("Reason", exact=True).fill(ALL)
    button(page, "Pause").click()

    expect(page.locator(".by")).to_contain_text(PAYLOADS[0])
    harmless(page)
    told(page.locator("#history li"))
    gate.touch()


def test_in_the_name_of_a_user(page: Page, installation: Installation) -> None:
    person = installation.invite("<b onclick=alert('bad')>Eve</b>", "admin")
    operation_id = installation.start(person, "echo", words="x")
    begin(page, person)

    page.goto("/console/operations")

    expect(page.locator(".who")).to_contain_text(person.user.name)
    expect(row(page, operation_id)).to_contain_text(person.user.name)
    harmless(page)


@pytest.mark.parametrize("payload", PAYLOADS[:4])
def test_in_what_was_searched_for(page: Page, installation: Installation, payload: str) -> None:
    begin(page, installation.invite())

    page.get_by_label("Search").fill(payload)
    button(page, "Find").click()

    expect(page.get_by_label("Search")).to_have_value(payload)
    harmless(page)


def test_a_place_elsewhere_is_not_gone_to_after_signing_in(page: Page, installation: Installation) -> None:
    person = installation.invite()
    page.goto("/console/sign-in?next=//elsewhere.invalid/")

    page.get_by_label("Token").fill(person.token)
    button(page, "Sign in").click()

    expect(button(page, "Sign out")).to_be_visible()
    assert page.url.startswith(installation.address)
