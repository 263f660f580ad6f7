"""The manual of the console shows pictures that these tests make, and no others lie beside them."""

from __future__ import annotations

import re
from itertools import starmap
from pathlib import Path

from tests.console.judging import LOOKS, SUBJECTS, picture_of

DOCS = Path(__file__).parents[2] / "docs"
SHOWN = set(re.findall(r"!\[[^\]]+\]\(console/([^)]+)\)", (DOCS / "console.md").read_text()))


def test_every_picture_of_the_manual_is_there_and_is_one_that_the_tests_make() -> None:
    made = set(starmap(picture_of, [(name, look) for name in SUBJECTS for look in LOOKS]))

    assert SHOWN
    assert made >= SHOWN
    assert {path.name for path in (DOCS / "console").iterdir()} == SHOWN


def test_the_pictures_are_small() -> None:
    heavy = {path.name: size for path in (DOCS / "console").iterdir() if (size := path.stat().st_size) > 120_000}

    assert heavy == {}
    assert len(SHOWN) <= 8
