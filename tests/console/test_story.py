"""The two-minute story: start something long, see it move, pause it, trust the pause, resume it, see the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from pausable.model.states import Completion
from tests.console.acting import badge, begin, button, number_of, row, sentence, share, show, start_counting, tab_to
from tests.console.gallery import people
from tests.web.serving import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.console.conftest import Open
    from tests.console.installation import Installation, Person

QUIET = "Paused: nothing of it runs anywhere."
_MARK = "() => { window.sameDocument = true }"
_IS_MARKED = "() => window.sameDocument === true"


@pytest.fixture(scope="module")
def path(installation: Installation) -> str:
    """A file that takes some seconds to count."""
    return people(installation.input_dir / "story.csv", 100_000).name


def assert_quiet(installation: Installation, person: Person, operation_id: int) -> None:
    """While another operation runs to its end, nothing of this one moves."""
    before = installation.commands.show(person.user, operation_id)
    other = installation.start(person, "echo", words="meanwhile")
    installation.wait_until(person, other, Completion.COMPLETED)

    assert before.operation.completion is Completion.PAUSED
    assert before.in_flight == ()
    assert installation.commands.show(person.user, operation_id) == before


def assert_counted(page: Page) -> None:
    expect(badge(page)).to_have_text("COMPLETED")
    expect(page.locator("pre").first).to_contain_text('"rows": 100000')


def start_counting_by_keyboard(page: Page, path: str) -> None:
    follow(page, page.get_by_role("link", name="Start an operation"))
    follow(page, page.get_by_role("link", name="count-by"))
    for field, text in (("path", path), ("by", "company\ngender"), ("chunks", "2000")):
        tab_to(page, page.locator(f"#arg-{field}"))
        page.keyboard.press("ControlOrMeta+a")
        page.keyboard.type(text)
    follow(page, button(page, "Start"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("count-by")


def follow(page: Page, target: Locator) -> None:
    tab_to(page, target)
    page.keyboard.press("Enter")


def submit(page: Page, name: str) -> None:
    """Press a button and wait for the page that answers; one that is still to come cannot be loaded again."""
    with page.expect_navigation():
        button(page, name).click()


def reload_until(page: Page, place: Locator, text: str) -> None:
    """Load the page again until it says so, as people without scripts do."""
    wait_for(lambda: page.reload() is not None and text in (place.text_content() or ""))


def test_with_scripts_the_page_moves_by_itself(
    page: Page, person: Person, installation: Installation, path: str
) -> None:
    begin(page, person)
    counting = start_counting(page, path)

    page.evaluate(_MARK)
    seen = share(page)
    wait_for(lambda: seen < share(page) < 1)
    assert page.evaluate(_IS_MARKED)
    button(page, "Pause").click()
    expect(sentence(page)).to_have_text(QUIET)
    assert_quiet(installation, person, counting)
    assert 0 < share(page) < 1
    button(page, "Resume").click()
    page.evaluate(_MARK)
    assert_counted(page)
    assert page.evaluate(_IS_MARKED)


def test_another_is_cancelled(page: Page, person: Person, installation: Installation, path: str) -> None:
    begin(page, person)
    counting = start_counting(page, path)

    page.get_by_text("Cancel…", exact=True).click()
    button(page, "Cancel permanently").click()

    expect(badge(page)).to_have_text("CANCELLED")
    expect(sentence(page)).to_have_text("Cancelled: no more steps will run.")
    page.goto("/console/operations")
    expect(row(page, counting)).to_contain_text("CANCELLED")


def test_without_scripts_it_is_told_by_loading_pages_again(
    open_context: Open, person: Person, installation: Installation, path: str
) -> None:
    page = open_context(java_script_enabled=False).new_page()
    begin(page, person)
    counting = start_counting(page, path)

    submit(page, "Pause")
    reload_until(page, badge(page), "PAUSED")
    assert_quiet(installation, person, counting)
    submit(page, "Resume")
    reload_until(page, badge(page), "COMPLETED")
    assert_counted(page)
    cancelled = start_counting(page, path)
    page.get_by_text("Cancel…", exact=True).click()
    submit(page, "Cancel permanently")
    reload_until(page, badge(page), "CANCELLED")
    page.goto("/console/operations")
    expect(row(page, cancelled)).to_contain_text("CANCELLED")


def test_by_keyboard_alone(page: Page, person: Person, installation: Installation, path: str) -> None:
    page.goto("/console/")
    expect(page.get_by_label("Token")).to_be_focused()
    page.keyboard.type(person.token)
    page.keyboard.press("Enter")
    expect(button(page, "Sign out")).to_be_visible()
    start_counting_by_keyboard(page, path)

    tab_to(page, button(page, "Pause"))
    page.keyboard.press("Space")
    expect(sentence(page)).to_have_text(QUIET)
    tab_to(page, button(page, "Resume"))
    page.keyboard.press("Enter")
    expect(badge(page)).to_have_text("IN PROGRESS")
    tab_to(page, page.locator("summary", has_text="Cancel…"))
    page.keyboard.press("Enter")
    tab_to(page, button(page, "Cancel permanently"))
    page.keyboard.press("Space")
    expect(badge(page)).to_have_text("CANCELLED")
    counting = number_of(page)
    page.goto("/console/operations")
    tab_to(page, page.get_by_label(f"Select operation {counting}"))
    page.keyboard.press("Space")
    expect(page.get_by_label(f"Select operation {counting}")).to_be_checked()


def test_two_pages_of_one_operation_show_the_same(page: Page, person: Person, installation: Installation) -> None:
    begin(page, person)
    operation_id, gate = installation.start_at_gate(person)
    other = page.context.new_page()
    for one in (page, other):
        show(one, operation_id)

    button(page, "Pause").click()

    expect(badge(other)).to_have_text("REQUESTING PAUSE")
    gate.touch()
    for one in (page, other):
        expect(sentence(one)).to_have_text(QUIET)
    button(other, "Resume").click()
    for one in (page, other):
        expect(badge(one)).to_have_text("COMPLETED")


def test_enter_in_a_field_presses_no_button(page: Page, person: Person, installation: Installation) -> None:
    operation_id, gate = installation.start_at_gate(person)
    begin(page, person)
    page.goto("/console/operations")
    pick = page.get_by_label(f"Select operation {operation_id}")

    pick.press("Enter")
    show(page, operation_id)
    page.get_by_text("With a reason…", exact=True).click()
    page.get_by_label("Reason", exact=True).press("Enter")
    expect(page.get_by_text("Press the button of the action that you want.")).to_be_visible()
    expect(button(page, "Pause with this reason")).to_be_focused()
    gate.touch()

    installation.wait_until(person, operation_id, Completion.COMPLETED)
    history = installation.commands.events(person.user, operation_id)
    assert "REQUESTING PAUSE" not in [event.new for event in history]
