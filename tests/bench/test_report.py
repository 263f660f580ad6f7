"""What a run leaves in files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bench import report
from bench.figure import at_least, compared

if TYPE_CHECKING:
    from pathlib import Path

FIGURE = compared("a chain", "operations/s", ([400, 410], [100, 100]), "plain Celery", at_least(4))


def test_a_report_leaves_what_people_wrote_around_it(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("# Title\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nProse.\n")

    report.put_into(page, report.document({"kernel": "Linux"}, [FIGURE], "python -m bench"))

    text = page.read_text()
    assert text.startswith("# Title\n")
    assert text.endswith("\nProse.\n")
    assert "old" not in text
    assert "| a chain | 405 (400..410) operations/s | plain Celery: 100 | 4.05 (4.00..4.10) |" in text


def test_a_file_without_marks_is_not_written_to(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("# Title\n")

    with pytest.raises(ValueError, match="has no lines"):
        report.put_into(page, "anything")

    assert page.read_text() == "# Title\n"


def test_programs_read_the_same_run_as_json(tmp_path: Path) -> None:
    file = tmp_path / "run.json"

    report.put_json(file, {"kernel": "Linux"}, [FIGURE])

    figure = json.loads(file.read_text())["figures"][0]
    assert figure["ratio"] == {"median": 4.05, "low": 4.0, "high": 4.1}
    assert figure["verdict"] == "met"
