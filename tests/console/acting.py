"""What people do on the pages of the console, and what they see there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.console.installation import Person

_TABS = 150
#: Whether the element in focus is marked so that it can be seen.
_MARKED = """element => { const style = getComputedStyle(element);
    return element.matches(":focus-visible")
        && (style.outlineStyle !== "none" && style.outlineWidth !== "0px" || style.boxShadow !== "none") }"""


def sign_in(page: Page, person: Person) -> None:
    """Paste the token where it is asked for; the page that was wanted follows."""
    page.get_by_label("Token").fill(person.token)
    button(page, "Sign in").click()
    expect(button(page, "Sign out")).to_be_visible()


def begin(page: Page, person: Person) -> None:
    """Open the console for the first time."""
    page.goto("/console/")
    sign_in(page, person)


def show(page: Page, operation_id: int) -> None:
    page.goto(f"/console/operations/{operation_id}")


def start_counting(page: Page, path: str, chunks: int = 2_000) -> int:
    """Start `count-by` from the list, by its form; its number."""
    page.goto("/console/operations")
    page.get_by_role("link", name="Start an operation").click()
    page.get_by_role("link", name="count-by").click()
    page.locator("#arg-path").fill(path)
    page.locator("#arg-by").fill("company\ngender")
    page.locator("#arg-chunks").fill(str(chunks))
    button(page, "Start").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("count-by")
    return number_of(page)


def number_of(page: Page) -> int:
    """The number of the operation whose page it is."""
    return int(page.locator("h1 .number").inner_text())


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def badge(page: Page) -> Locator:
    """Where the operation stands, as its page says first."""
    return page.locator(".standing .badge").first


def sentence(page: Page) -> Locator:
    """Where the operation stands, in words."""
    return page.locator("#sentence")


def row(page: Page, operation_id: int) -> Locator:
    """The operation in the list."""
    return page.locator(f"#operation-{operation_id}")


def share(page: Page) -> float:
    """How much of the operation is done, by its bar, from 0 to 1."""
    return float(page.get_by_role("progressbar", name="Progress", exact=True).get_attribute("value") or 0)


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the element is in focus, and see that it shows."""
    focused = page.locator(":focus")
    for _ in range(_TABS):
        page.keyboard.press("Tab")
        if target.and_(focused).count():
            assert focused.evaluate(_MARKED), f"nobody sees that {target} is in focus"
            return
    raise AssertionError(f"Tab does not lead to {target}")
