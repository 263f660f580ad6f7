"""Every page, in every state that it has: usable by all, on a desk and on a phone, by day and by night, and small."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from tests.console.acting import begin
from tests.console.conftest import DESKTOP, PHONE
from tests.console.gallery import Gallery, gallery
from tests.console.judging import Scales, pixels_outside, violations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page, ViewportSize

    from tests.console.conftest import Open
    from tests.console.installation import Installation

LOOKS: dict[str, tuple[ViewportSize, Literal["light", "dark"]]] = {
    "desktop-light": (DESKTOP, "light"),
    "desktop-dark": (DESKTOP, "dark"),
    "phone-light": (PHONE, "light"),
    "phone-dark": (PHONE, "dark"),
}
HEAVIEST = 150_000  # bytes
OPERATIONS = [
    "completed",
    "failed",
    "cancelled",
    "paused",
    "scheduled",
    "in progress",
    "requesting pause",
    "requesting cancel",
]


@pytest.fixture(scope="module")
def shown(installation: Installation) -> Iterator[Gallery]:
    with gallery(installation) as shown:
        yield shown


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures are laid: the folder that PICTURES names, else one that is thrown away."""
    named = os.environ.get("PICTURES")
    return Path(named) if named else tmp_path_factory.mktemp("pictures")


@pytest.fixture
def page(open_context: Open, shown: Gallery) -> Page:
    """A page of the one whom all these operations belong to."""
    page = open_context().new_page()
    begin(page, shown.person)
    return page


def judge(page: Page, pictures: Path, name: str) -> None:
    """Judge a page in each of its looks, and keep a picture of each."""
    wrong = []
    for look, (size, scheme) in LOOKS.items():
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=pictures / f"{name.replace(' ', '-')}-{look}.png", full_page=True)
        wrong += [f"{look}: {found}" for found in violations(page)]
        wrong += [f"{look}: {outside} pixels are outside"] if (outside := pixels_outside(page)) else []
    assert wrong == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_page_of_an_operation(page: Page, shown: Gallery, pictures: Path, name: str) -> None:
    scales = Scales(page)

    page.goto(f"/console/operations/{shown.operations[name]}")

    page.get_by_role("heading", name="History").wait_for()
    judge(page, pictures, name)
    assert scales.total <= HEAVIEST


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/console/operations", "operations"),
        ("/console/operations?search=nothing+like+it", "nothing found"),
    ],
)
def test_the_page(page: Page, pictures: Path, address: str, name: str) -> None:
    scales = Scales(page)

    page.goto(address)

    judge(page, pictures, name)
    assert scales.total <= HEAVIEST
