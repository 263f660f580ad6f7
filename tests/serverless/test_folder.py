"""The loop of the terminal: a document is run to its end, one slice in each fresh process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pausable.errors import SliceFailed
from pausable.serverless.folder import loop
from tests.serverless.conftest import FLOWS, KEY

if TYPE_CHECKING:
    from tests.serverless.conftest import Slices

ROOT = Path(__file__).parents[2]
ONE = ("--steps=1",)


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the processes read."""
    told = {"WORKFLOWS": f"{FLOWS},examples.eight_tasks", "DOCUMENT_KEY": KEY, "PYTHONPATH": str(ROOT)}
    for name, value in (told | {"DATA_DIR": str(tmp_path / "var"), "RESULTS": str(tmp_path / "targets")}).items():
        monkeypatch.setenv(name, value)


def test_the_eight_tasks_run_one_in_each_fresh_process(slices: Slices, tmp_path: Path) -> None:
    documents = list(loop(slices.by_hand("eight-tasks"), tmp_path / "folder", ONE))

    assert [document["slice"] for document in documents] == list(range(1, 9))
    assert [sum(step["state"]["type"] == "Success" for step in one["steps"]) for one in documents] == list(range(1, 9))
    assert documents[-1]["completion"] == "COMPLETED"
    assert sorted(file.name for file in (tmp_path / "targets").rglob("*.txt")) == ["t1.txt", "t2.txt", "t3.txt"]
    assert list((tmp_path / "folder" / "messages").iterdir()) == []


def test_what_a_process_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    unsigned = json.dumps({"workflow": "marked-chain", "steps": []}).encode()

    with pytest.raises(SliceFailed, match=r"The workflow\.json is not signed"):
        list(loop(unsigned, tmp_path / "folder", ONE))

    with pytest.raises(SliceFailed, match="There is no workflow 'of-tomorrow'"):
        list(loop(json.dumps({"workflow": "of-tomorrow", "steps": []}).encode(), tmp_path / "other", ("--trust",)))


def test_a_shipped_workflow_finds_its_file_below_input_dir(
    slices: Slices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INPUT_DIR", str(tmp_path / "input"))
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "people.csv").write_text("company\nZoovu\nYozio\nZoovu\n")
    asked = slices.by_hand("count-by", path="people.csv", by=["company"], chunks=2)

    *_, last = loop(asked, tmp_path / "folder", ("--steps=2",))

    assert (last["completion"], last["result"]["rows"]) == ("COMPLETED", 3)
