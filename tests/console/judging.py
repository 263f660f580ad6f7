"""Judges a page as it stands: whether all people can use it, whether it fits, how much came over the wire for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: What axe calls an accessibility check runs outside the page's own policy: nothing has to be allowed for it.
_AXE: str = Axe().axe_script
_JUDGE = """async () => {
    const told = (rule, node) => `${rule.id}: ${node.target.join(" ")}: ${node.failureSummary}`;
    const {violations} = await axe.run({resultTypes: ["violations"]});
    return violations.flatMap(rule => rule.nodes.map(node => told(rule, node)));
}"""
_OUTSIDE = "() => Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth)"


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
