"""Writes the next migration from `pausable/db/tables.py`, and `schema.sql` from all migrations.

    python -m migrations "what changes"   a new migration, and schema.sql
    python -m migrations --again          the newest migration anew (before it is released), and schema.sql
    python -m migrations                  schema.sql alone

Read what it wrote: it cannot know a renamed column from a new one. Comments in schema.sql are carried over; put one
behind each new column.
"""

from __future__ import annotations

import re
import tempfile
from argparse import ArgumentParser
from typing import TYPE_CHECKING, Final

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.operations.ops import CreateTableOp
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, Column

from pausable.db.migrations import FOLDER, config_for
from pausable.db.schema import SCHEMA, migrated, schema_text
from pausable.db.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from alembic.config import Config
    from alembic.operations.ops import MigrationScript
    from sqlalchemy.sql.schema import SchemaItem

_NUMBER_AND_NAME: Final = re.compile(r"(\d+)_(\w+)\.py")


def write_migration(name: str) -> None:
    """Write the migration that leads from the migrations so far to the tables; none where nothing differs."""
    with tempfile.TemporaryDirectory() as folder:
        database = migrated(folder)
        with database.write() as tx:
            if compare_metadata(MigrationContext.configure(tx), metadata):
                config = config_for(FOLDER, tx)
                _polish_with_ruff(config)
                number = f"{len(_versions()) + 1:04}"
                command.revision(config, name, True, rev_id=number, process_revision_directives=_keep_checks)
        database.close()


def rewrite_newest() -> None:
    """Write the newest migration anew, under its name; hand-made changes in it are lost."""
    newest = _versions()[-1]
    name = newest.stem.partition("_")[2].replace("_", " ")
    before = newest.read_text()
    newest.unlink()
    try:
        write_migration(name)
    except BaseException:
        newest.write_text(before)
        raise


def _polish_with_ruff(config: Config) -> None:
    hooks = {"format": "format", "excuse": "check --select E501 --add-noqa"}  # the text of a check may be one long line
    config.set_section_option("post_write_hooks", "hooks", ",".join(hooks))
    for name, options in hooks.items():
        config.set_section_option("post_write_hooks", f"{name}.type", "module")
        config.set_section_option("post_write_hooks", f"{name}.module", "ruff")
        config.set_section_option("post_write_hooks", f"{name}.options", f"{options} REVISION_SCRIPT_FILENAME")


def _keep_checks(_context: object, _revision: object, directives: list[MigrationScript]) -> None:
    """Make the checks that stand behind a column in `tables.py` the new table's: Alembic passes over them."""
    for script in directives:
        for operation in script.upgrade_ops.ops if script.upgrade_ops else ():
            if isinstance(operation, CreateTableOp):
                operation.columns = [*operation.columns, *_column_checks(operation.columns)]


def _column_checks(parts: Sequence[SchemaItem]) -> list[CheckConstraint]:
    checks = [check for part in parts if isinstance(part, Column) for check in part.constraints]
    return [CheckConstraint(check.sqltext, name=check.name) for check in checks if isinstance(check, CheckConstraint)]


def _versions() -> list[Path]:
    return sorted(path for path in (FOLDER / "versions").iterdir() if _NUMBER_AND_NAME.fullmatch(path.name))


def main() -> None:
    """Do what the command line asks for."""
    parser = ArgumentParser(prog="python -m migrations", description="Write the next migration, and schema.sql.")
    wanted = parser.add_mutually_exclusive_group()
    wanted.add_argument("name", nargs="?", help="what the new migration changes")
    wanted.add_argument("--again", action="store_true", help="write the newest migration anew instead")
    asked = parser.parse_args()
    if asked.again:
        rewrite_newest()
    elif asked.name:
        write_migration(asked.name)
    SCHEMA.write_text(schema_text(SCHEMA.read_text() if SCHEMA.exists() else ""))


if __name__ == "__main__":
    main()
