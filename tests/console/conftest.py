"""The installation and the browser, each started once for all tests of the console that run in a process.

Playwright's loop runs in this thread for as long as it is started, and nobody could start another there: so it is ended
with the last test of this folder, not with the last of all.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from tests.console.chromium import find_chromium, is_required, lacking
from tests.console.installation import Installation, Person, installed
from tests.console.judging import DESKTOP
from tests.console.witness import Witness
from tests.execution.pausing import in_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

PATIENCE = 30_000  # milliseconds; for a machine that does much else, and never waited for where all is well
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Open(Protocol):
    """Opens a browser context of one's own: no cookies, no cache, and a witness."""

    def __call__(self, **options: Any) -> BrowserContext:
        """Options are those of Playwright's `new_context`."""
        ...


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium."""
    program = find_chromium()
    if program is None:
        (pytest.fail if is_required() else pytest.skip)(lacking())
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def installation(
    browser: Browser, migrated_file: Path, broker_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """The service; a test has people of its own there, and so sees nothing of the others."""
    folder = tmp_path_factory.mktemp("installation")
    database_url = f"sqlite:///{shutil.copy(migrated_file, folder)}"
    with installed(folder, in_database(broker_url, 4), database_url) as installation:
        yield installation


@pytest.fixture
def witnesses() -> Iterator[list[Witness]]:
    """What was heard in each context that the test has opened; all must have been well."""
    heard: list[Witness] = []
    yield heard
    assert [fault for witness in heard for fault in witness.faults] == []


@pytest.fixture
def open_context(browser: Browser, installation: Installation, witnesses: list[Witness]) -> Iterator[Open]:
    """Opens contexts of the test's own."""
    with ExitStack() as opened:

        def make(**options: Any) -> BrowserContext:
            here = {"base_url": installation.address, "viewport": DESKTOP, "color_scheme": "light"}
            given = {**here, "reduced_motion": "reduce", **options}  # no colour is judged on its way to another
            context = opened.enter_context(browser.new_context(**given))
            context.set_default_timeout(PATIENCE)
            witnesses.append(Witness(context, installation.address))
            return context

        yield make


@pytest.fixture
def page(open_context: Open) -> Page:
    """A page of a desktop in the light, nobody logged in."""
    return open_context().new_page()


@pytest.fixture
def witness(page: Page, witnesses: list[Witness]) -> Witness:
    """What is heard of `page`."""
    return witnesses[0]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures are laid: the folder that PICTURES names, else one that is thrown away."""
    named = os.environ.get("PICTURES")
    return Path(named) if named else tmp_path_factory.mktemp("pictures")


@pytest.fixture
def person(installation: Installation) -> Person:
    """Somebody who has no operations yet."""
    return installation.invite()
