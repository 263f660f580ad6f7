"""Documents that are exported, imported and advanced at the terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.terminal import undrawn
from tests.execution.pausing import in_database
from tests.web.serving import Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.terminal import Terminal
    from tests.conftest import NewDatabase


@pytest.fixture
def served(new_database: NewDatabase, broker_url: str, tmp_path: Path) -> Iterator[Served]:
    """The service with a key for documents."""
    url, broker = new_database(tmp_path), in_database(broker_url, 12)
    with serving(tmp_path, broker, database_url=url, slice_steps=1, document_key="k" * 40) as served:
        yield served


@pytest.fixture
def file(terminal: Terminal, tmp_path: Path) -> Path:
    """The document of an operation that was moved after its first step."""
    started = terminal.start("three", "value=7")
    terminal.served.deliver()
    terminal.run("operations", "pause", started)
    file = tmp_path / "moved.json"
    terminal.run("operations", "export", started, "-o", str(file), "--to", "a function")
    return file


def read(file: Path) -> Any:
    return json.loads(file.read_bytes())


def test_an_operation_is_exported_advanced_and_imported(terminal: Terminal, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"

    said = terminal.run("operations", "advance", str(file), "--steps", "1", "-o", str(out))
    assert said.stderr == f"{out} written\nSlice 1: PAUSED, 2 of 3 steps\n"
    said = terminal.run("operations", "import", str(out))

    assert said.stdout == "Operation 2 is PAUSED; 2 of 3 steps, 66 %.\n"
    assert said.stderr == "`flask operations resume 2` lets it go on.\n"
    assert terminal.says("operations", "import", str(out)).startswith("Nothing changed: Operation 2 is PAUSED")
    assert "imported: slice 1 of operation 1 of" in terminal.says("operations", "events", "2")


def test_the_end_is_told_with_its_result(terminal: Terminal, file: Path) -> None:
    said = terminal.run("operations", "advance", str(file))

    assert json.loads(said.stdout)["completion"] == "COMPLETED"
    assert said.stderr == "Slice 1: COMPLETED, 3 of 3 steps; result: 7\n"


def test_what_was_moved_says_how_it_is_taken_back(terminal: Terminal, file: Path) -> None:
    refused = terminal.refuses("operations", "resume", "1")
    assert "it was moved to a function at" in refused
    assert "`flask operations resume 1 --accept-moved`" in refused

    assert "IN PROGRESS" in terminal.says("operations", "resume", "1", "--accept-moved")


def test_an_altered_document_is_refused_unless_it_is_trusted(terminal: Terminal, file: Path) -> None:
    file.write_text(json.dumps(read(file) | {"slice": 5}))

    for verb in ("advance", "import"):
        assert "was altered, or signed with another DOCUMENT_KEY" in terminal.refuses("operations", verb, str(file))
    assert "is PAUSED" in terminal.says("operations", "import", str(file), "--trust")


def test_a_document_made_by_hand_is_advanced(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "hand.json"
    steps = [{"task": {"slug": "nobody"}, "state": {"type": "Success", "message": None, "result": 1}}]
    file.write_text(json.dumps({"workflow": "three", "arguments": {"value": 9}, "steps": steps}))

    refused = terminal.refuses("operations", "advance", str(file), "--trust")
    assert refused == "Error: three has other steps (nobody: no step is called so). Leave them out, or be lenient.\n"
    said = terminal.run("operations", "advance", str(file), "--trust", "--lenient", "--seconds", "60")
    assert said.stderr == "Slice 1: COMPLETED, 3 of 3 steps; result: 9\n"


def test_a_document_is_taken_from_standard_input(terminal: Terminal, file: Path) -> None:
    runner = terminal.served.app.test_cli_runner()

    said = runner.invoke(args=["operations", "advance", "-", "--steps", "1"], input=file.read_bytes())

    assert json.loads(said.stdout)["slice"] == 1


def test_a_document_is_advanced_slice_by_slice_to_its_end(
    terminal: Terminal, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKFLOWS", ",".join(terminal.served.settings.workflows))
    monkeypatch.setenv("DOCUMENT_KEY", "k" * 40)

    said = terminal.run("operations", "advance", str(file), "--steps", "1", "--loop", "-o", str(tmp_path / "end.json"))

    slices = [line for line in said.stderr.splitlines() if line.startswith("Slice")]
    assert slices == ["Slice 1: PAUSED, 2 of 3 steps", "Slice 2: COMPLETED, 3 of 3 steps; result: 7"]
    assert read(tmp_path / "end.json")["completion"] == "COMPLETED"


@pytest.mark.parametrize(("how", "far"), [(["--loop", "--steps", "1"], "━ 2 of 3 steps"), ([], "━ 3 of 3 steps")])
def test_a_terminal_shows_a_bar_until_the_end(
    terminal: Terminal, file: Path, tmp_path: Path, how: list[str], far: str
) -> None:
    with terminal.seated("operations", "advance", str(file), *how, "-o", str(tmp_path / "end.json")) as seat:
        seat.wait_for(": COMPLETED, 3 of 3 steps; result: 7")
        assert seat.status() == 0

    assert far in undrawn(seat.drawn)
    assert "Slice 1: PAUSED" not in seat.drawn
