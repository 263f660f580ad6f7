"""Judges a page as it stands: whether all people can use it, whether it fits, how much came over the wire for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page, ViewportSize

DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
#: What pictures are made of, each in every look.
SUBJECTS = (
    *(
        "completed",
        "failed",
        "cancelled",
        "paused",
        "scheduled",
        "in progress",
        "requesting pause",
        "requesting cancel",
    ),
    *("operations", "nothing found", "workflows", "start", "start with faults", "workers", "tokens"),
    *("not there", "sign in", "sign in refused", "lost connection", "resume refused"),
)
LOOKS: dict[str, tuple[ViewportSize, Literal["light", "dark"]]] = {
    "desktop-light": (DESKTOP, "light"),
    "desktop-dark": (DESKTOP, "dark"),
    "phone-light": (PHONE, "light"),
    "phone-dark": (PHONE, "dark"),
}

#: What axe calls an accessibility check runs outside the page's own policy: nothing has to be allowed for it.
_AXE: str = Axe().axe_script
_JUDGE = """async () => {
    const told = (rule, node) => `${rule.id}: ${node.target.join(" ")}: ${node.failureSummary}`;
    const {violations} = await axe.run({resultTypes: ["violations"]});
    return violations.flatMap(rule => rule.nodes.map(node => told(rule, node)));
}"""
_OUTSIDE = "() => Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth)"


def picture_of(name: str, look: str) -> str:
    return f"{name.replace(' ', '-')}-{look}.png"


def judge(page: Page, pictures: Path, name: str) -> None:
    """Judge a page in each of its looks, and keep a picture of each: the window on a desk, the whole on a phone."""
    assert name in SUBJECTS
    wrong = []
    for look, (size, scheme) in LOOKS.items():
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=pictures / picture_of(name, look), full_page=size is PHONE)
        wrong += [f"{look}: {found}" for found in violations(page)]
        wrong += [f"{look}: {outside} pixels are outside"] if (outside := pixels_outside(page)) else []
    assert wrong == []


def violations(page: Page) -> list[str]:
    """All that axe finds wrong: the rule, the element, and why."""
    if page.evaluate("typeof axe === 'undefined'"):
        page.evaluate(_AXE)
    found: list[str] = page.evaluate(_JUDGE)
    return found


def pixels_outside(page: Page) -> int:
    """By how much the page is wider than its window."""
    outside: int = page.evaluate(_OUTSIDE)
    return outside


class Scales:
    """Weighs what comes over the wire for a page, headers and all; streams count as far as they have come."""

    def __init__(self, page: Page) -> None:
        self.total = 0
        session = page.context.new_cdp_session(page)
        session.on("Network.loadingFinished", self._weigh)
        session.send("Network.enable")
        session.send("Network.setCacheDisabled", {"cacheDisabled": True})

    def _weigh(self, finished: dict[str, Any]) -> None:
        self.total += int(finished["encodedDataLength"])
