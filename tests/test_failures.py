"""The page on failures names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "failures.md"


def names_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_test_that_the_page_on_failures_names_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE.read_text())

    assert named
    assert [
        f"{file}::{test}" for file, test in named if not (TESTS / file).is_file() or test not in names_in(TESTS / file)
    ] == []


def test_every_failure_on_the_page_has_a_test_that_proves_it() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    failures = [line for line in rows if not line.startswith("| what dies or fails |")]

    assert failures
    assert [line for line in failures if ".py::test_" not in line or line.count("|") != 6] == []
