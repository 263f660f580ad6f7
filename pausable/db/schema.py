"""The text of `schema.sql`: what the migrations give, with the comments that people have written into it."""

from __future__ import annotations

import tempfile
from typing import Final

from pausable.db.database import Database
from pausable.db.migrations import FOLDER, snapshot, upgrade_database

SCHEMA: Final = FOLDER.parent / "schema.sql"

_COMMENT_COLUMN: Final = 40


def schema_text(former: str) -> str:
    """The text of `schema.sql` as the migrations give it, with the comments of the former text at their places."""
    with tempfile.TemporaryDirectory() as folder:
        database = migrated(folder)
        statements = snapshot(database)
        database.close()
    return with_comments(statements, former)


def with_comments(statements: str, former: str) -> str:
    """The statements, each under the comment block that stood above it and each line before the comment behind it."""
    above, behind = _comments(former)
    blocks = [above.get("", "")]
    for statement in statements.split("\n\n"):
        first, *lines = statement.strip().splitlines()
        table = _opening(first)
        commented = [_with_comment(line, behind.get((table, _word(line)))) for line in lines]
        blocks.append("\n".join(filter(None, [above.get(table, ""), first, *commented])))
    return "\n\n".join(filter(None, blocks)) + "\n"


def _comments(text: str) -> tuple[dict[str, str], dict[tuple[str, str], str]]:
    """Comment blocks by the statement below them (the file's head by no name), and comments by table and column."""
    above: dict[str, str] = {}
    behind: dict[tuple[str, str], str] = {}
    block: list[str] = []
    table = ""
    for line in text.splitlines():
        code, _, comment = line.partition("-- ")
        if line.startswith("--"):
            block.append(line)
            continue
        if not line:
            above.setdefault("", "\n".join(block))
        elif line.startswith("CREATE"):
            table = _opening(line)
            above[table] = "\n".join(block)
        elif comment:
            behind[table, _word(code)] = comment
        block = []
    return above, behind


def _opening(line: str) -> str:
    """The words by which a statement is known, such as `CREATE TABLE steps`."""
    return line.partition(" (")[0].partition(" ON ")[0]


def _word(line: str) -> str:
    """The words by which a line of a table's definition is known: a column's name, or a constraint's."""
    words = line.split()
    return " ".join(words[:2]) if words[:1] == ["CONSTRAINT"] else "".join(words[:1])


def _with_comment(line: str, comment: str | None) -> str:
    return f"{line.ljust(_COMMENT_COLUMN)} -- {comment}" if comment else line


def migrated(folder: str) -> Database:
    """Return a scratch database in `folder` at the newest migration. The caller closes it."""
    database = Database(f"sqlite:///{folder}/scratch.db")
    upgrade_database(database)
    return database
