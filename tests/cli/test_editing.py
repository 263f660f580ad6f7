"""Editing what remains of a paused operation at a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.terminal import Terminal

PATCH = '{"steps": {"give-2": {"kwargs": {"value": 7}}, "give-3": null}}'


def paused(terminal: Terminal) -> str:
    started = terminal.start("three", "value=1")
    terminal.says("operations", "pause", started)
    return started


def test_a_paused_operation_is_edited_and_that_is_taken_back(terminal: Terminal) -> None:
    operation = paused(terminal)

    edited = terminal.run("operations", "edit", operation, PATCH, "--reason", "a typing error")
    undone = terminal.says("operations", "undo", operation)

    assert edited.stdout == "Edited: Operation 1 is PAUSED; 0 of 3 steps, 0 %.\n"
    assert edited.stderr == "`flask operations undo 1` takes it back.\n"
    assert undone == "Taken back: Operation 1 is PAUSED; 0 of 3 steps, 0 %.\n"
    told = terminal.says("operations", "edits", operation)
    assert "steps.give-2.kwargs.value: null → 7; steps.give-3.skip: false → true" in told
    assert "a typing error" in told
    assert " by ada" in told
    assert "No edit of operation 1 is left" in terminal.refuses("operations", "undo", operation)


def test_a_patch_may_come_from_a_file(terminal: Terminal, tmp_path: Path) -> None:
    operation = paused(terminal)
    (tmp_path / "patch.json").write_text(PATCH)

    assert terminal.says("operations", "edit", operation, f"@{tmp_path}/patch.json").startswith("Edited: ")
    assert terminal.says("operations", "edit", operation, PATCH.replace(', "give-3": null', "")).startswith("Nothing")


@pytest.mark.parametrize(
    ("patch", "status"), [("{", 2), ("[]", 1), ('{"steps": {"nobody": null}}', 1), ("@nowhere", 1)]
)
def test_what_is_no_patch_of_it_is_refused(terminal: Terminal, patch: str, status: int) -> None:
    terminal.refuses("operations", "edit", paused(terminal), patch, status=status)
