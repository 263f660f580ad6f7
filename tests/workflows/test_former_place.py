"""`app.workflows`, from which authors imported before there was `pausable`: it works for one release more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PREFACE = """
import warnings

with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    {imports}
[warning] = [one for one in warned if "app.workflows" in str(one.message)]
assert issubclass(warning.category, DeprecationWarning)
assert "`pausable`" in str(warning.message)
import pausable
import pausable.workflows.shipped.add_numbers as present
"""


def run(imports: str, text: str) -> subprocess.CompletedProcess[str]:
    """Run a program in an interpreter of its own: a module warns when it is first imported."""
    program = [sys.executable, "-c", PREFACE.format(imports=imports) + text]
    return subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("imports", "text"),
    [
        ("from app.workflows import Flow, step, workflow", "assert (Flow, step) == (pausable.Flow, pausable.step)"),
        ("import app.workflows.add_numbers as former", "assert former is present"),
        ("from app.workflows.add_numbers import add_numbers", "assert add_numbers is present.add_numbers"),
    ],
)
def test_what_was_imported_from_there_is_that_of_pausable_and_a_warning_says_so(imports: str, text: str) -> None:
    done = run(imports, text)

    assert done.returncode == 0, done.stderr


def test_a_setting_that_names_the_shipped_workflows_there_still_finds_them() -> None:
    setting = '("app.workflows.add_numbers", "app.workflows.count_by")'

    done = run(
        f"from pausable import load_workflows; found = load_workflows({setting})",
        'assert {*found.names} == {"add-numbers", "count-by"}',
    )

    assert done.returncode == 0, done.stderr
