"""What README.md, CONTRIBUTING.md and docs/ name is there: files, folders, modules and what is in them, other pages."""

from __future__ import annotations

import importlib
import re
from typing import Final

import pytest

from tests.manual.blocks import PAGES, ROOT

_PATH: Final = re.compile(
    r"(?<![\w/.])((?:pausable|app|migrations|examples|docs)/[\w/.-]*\w|(?:pausable|app)/)(?![\w<*])"
)
_NAME: Final = re.compile(r"(?<![\w/.:-])(pausable(?:\.\w+)+|app\.(?:web|cli|supervisor)(?:\.\w+)*)")
_LINK: Final = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")

#: The name of `app/` in the wheel.
_IN_THE_WHEEL: Final = "pausable.app"


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def is_there(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def anchors_of(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    named = set(_PATH.findall(text_of(page)))

    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_module_that_a_page_names_is_there_with_what_is_named_in_it(page: str) -> None:
    named = set(_NAME.findall(text_of(page))) - {_IN_THE_WHEEL}

    assert [name for name in sorted(named) if not is_there(name)] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_page_and_heading_that_a_page_links_to_is_there(page: str) -> None:
    folder = (ROOT / page).parent
    links = [(target, anchor) for target, anchor in _LINK.findall(text_of(page)) if not target.startswith("mailto:")]

    dead = [target for target, _ in links if target and not (folder / target).exists()]
    assert dead == []
    pages = {
        (str((folder / target).resolve().relative_to(ROOT)) if target else page, anchor)
        for target, anchor in links
        if anchor
    }
    assert [(target, anchor) for target, anchor in sorted(pages) if anchor not in anchors_of(target)] == []


def test_a_name_that_is_not_there_is_found() -> None:
    assert _PATH.findall("`pausable/engine/no_such.py` and `app/web/`") == ["pausable/engine/no_such.py", "app/web"]
    assert not is_there("pausable.engine.no_such")
    assert not is_there("pausable.engine.drain.no_such")
    assert is_there("pausable.engine.drain.drain")
