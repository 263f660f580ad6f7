"""Every page, in every state that it has: usable by all, on a desk and on a phone, by day and by night, and small."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from pausable.db.steps import code_when_paused, keep_code
from pausable.model.states import Completion
from tests.console.acting import badge, begin, button, show
from tests.console.gallery import Gallery, gallery
from tests.console.judging import SUBJECTS, Scales, judge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.console.conftest import Open
    from tests.console.installation import Installation
    from tests.console.witness import Witness

HEAVIEST = 150_000  # bytes
PAGES = {
    "operations": "/console/operations",
    "nothing found": "/console/operations?search=nothing+like+it",
    "workflows": "/console/start",
    "start": "/console/start/count-by",
    "workers": "/console/workers",
    "tokens": "/console/tokens",
}


@pytest.fixture(scope="module")
def shown(installation: Installation) -> Iterator[Gallery]:
    with gallery(installation) as shown:
        yield shown


@pytest.fixture
def page(open_context: Open, shown: Gallery) -> Page:
    """A page of the one whom all these operations belong to."""
    page = open_context().new_page()
    begin(page, shown.person)
    return page


@pytest.mark.parametrize("name", SUBJECTS[:8])
def test_an_operation(page: Page, shown: Gallery, pictures: Path, name: str) -> None:
    scales = Scales(page)

    page.goto(f"/console/operations/{shown.operations[name]}")

    expect(page.get_by_role("heading", name="History")).to_be_visible()
    judge(page, pictures, name)
    assert 0 < scales.total <= HEAVIEST


@pytest.mark.parametrize("name", PAGES)
def test_a_page(page: Page, pictures: Path, name: str) -> None:
    scales = Scales(page)

    page.goto(PAGES[name])

    expect(page.get_by_role("contentinfo")).to_be_visible()
    judge(page, pictures, name)
    assert 0 < scales.total <= HEAVIEST


def test_an_operation_whose_code_has_changed(
    page: Page, shown: Gallery, installation: Installation, pictures: Path
) -> None:
    operation_id, gate = installation.start_at_gate(shown.person)
    installation.commands.pause(shown.person.user, operation_id)
    gate.touch()
    installation.wait_until(shown.person, operation_id, Completion.PAUSED)
    with installation.commands.engine.database.write() as tx:
        code = code_when_paused(tx, operation_id) or {}
        keep_code(tx, operation_id, code | {"tasks": dict.fromkeys(code["tasks"], "0" * 64)})

    show(page, operation_id)
    button(page, "Resume").click()
    expect(
        page.get_by_text("The code of tests.console.flows.merge, which step merge calls, has changed")
    ).to_be_visible()
    judge(page, pictures, "resume refused")
    page.get_by_label("The changed code can continue this operation.").check()
    button(page, "Resume").click()

    expect(badge(page)).to_have_text("COMPLETED")


def test_a_form_with_faults(page: Page, witness: Witness, pictures: Path) -> None:
    witness.statuses = {422}
    page.goto("/console/start/count-by")

    page.locator("#arg-path").fill("no-such-file.csv")
    page.locator("#arg-by").fill("company\ncompany")
    page.locator("#start_at").fill("2020-01-31T08:00")
    button(page, "Start").click()

    expect(page.get_by_text("Nothing was started.")).to_be_visible()
    assert page.locator("[aria-invalid=true]").count() == 2
    judge(page, pictures, "start with faults")


def test_a_page_that_is_not_there(page: Page, witness: Witness, pictures: Path) -> None:
    witness.statuses = {404}

    page.goto("/console/operations/999999")

    expect(page.get_by_role("link", name="Back to the operations")).to_be_visible()
    judge(page, pictures, "not there")


def test_where_one_signs_in(open_context: Open, witnesses: list[Witness], pictures: Path) -> None:
    page = open_context().new_page()
    witnesses[0].statuses = {401}
    scales = Scales(page)

    page.goto("/console/")

    judge(page, pictures, "sign in")
    assert 0 < scales.total <= HEAVIEST
    page.get_by_label("Token").fill("the-token-of-nobody-at-all")
    button(page, "Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    judge(page, pictures, "sign in refused")
