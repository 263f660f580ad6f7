"""Judges a page as it stands: whether all people can use it, whether it fits, how much came over the wire for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: What axe calls an accessibility check runs outside the page's own policy: nothing has to be allowed for it.
_AXE = Axe()


def violations(page: Page) -> str:
    """All that axe finds wrong, in words; nothing where it finds nothing."""
    found = _AXE.run(page)
    report: str = found.generate_report() if found.violations_count else ""
    return report
