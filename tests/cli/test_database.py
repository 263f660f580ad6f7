"""`flask db`: the schema of the database, and the file that describes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from pausable.db.migrations import FOLDER
from tests.cli.terminal import undrawn

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.terminal import Terminal

SCHEMA = FOLDER.parent / "schema.sql"
BEHIND = "Error: The database does not have the present schema: `flask db upgrade` brings it there.\n"


def empty(terminal: Terminal) -> None:
    """Put a file without a schema in the place of the database."""
    terminal.served.commands.engine.database.close()
    for file in terminal.served.settings.data_dir.glob("operations.db*"):
        file.unlink()


def test_a_database_that_is_there_is_left_as_it_is(terminal: Terminal) -> None:
    started = terminal.start("three")

    assert terminal.says("db", "current") == "The database has the present schema.\n"
    assert terminal.says("db", "upgrade") == "The database has the present schema.\n"

    assert terminal.completion(started) == "SCHEDULED"


def test_a_database_is_laid_where_there_is_none(terminal: Terminal) -> None:
    empty(terminal)

    assert terminal.refuses("db", "current") == BEHIND
    terminal.run("db", "upgrade")

    assert terminal.says("db", "current") == "The database has the present schema.\n"


def test_a_terminal_shows_a_bar_while_it_is_laid(terminal: Terminal) -> None:
    empty(terminal)
    with terminal.seated("db", "upgrade") as seat:
        seat.wait_for("The database has the present schema.")
        assert seat.status() == 0

    assert re.search("━ [0-9]+ of [0-9]+ migrations", undrawn(seat.drawn))


@pytest.mark.parametrize("words", [["operations", "list"], ["users", "add", "grace"], ["operations", "start", "three"]])
def test_a_database_without_its_schema_is_named_as_such(terminal: Terminal, words: list[str]) -> None:
    empty(terminal)

    assert terminal.refuses(*words) == BEHIND


def test_the_present_schema_is_written_with_the_comments_it_had(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "schema.sql"
    copy.write_text(SCHEMA.read_text())
    monkeypatch.setattr("app.cli.admin.SCHEMA", copy)

    assert terminal.says("db", "snapshot") == f"Wrote {copy}.\n"

    assert copy.read_text() == SCHEMA.read_text()


def test_a_schema_file_that_is_behind_is_noticed(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.cli.admin.SCHEMA", tmp_path / "schema.sql")

    said = terminal.refuses("db", "snapshot", "--check")

    assert said == "Error: schema.sql differs from what the migrations give: `flask db snapshot` writes it.\n"
    assert not (tmp_path / "schema.sql").exists()
