"""Migrate a database to the current schema and check whether it is there; the migrations are in `migrations/`.

An upgrade is one transaction: it succeeds as a whole or changes nothing.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, text

from pausable.db.database import Database
from pausable.db.postgresql import lift_bounds
from pausable.db.tables import metadata
from pausable.errors import DatabaseTooNew, ReferencesBroken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from alembic.script import Script
    from sqlalchemy import Connection, Row

    from pausable.config import Settings

if TYPE_CHECKING:
    Tell = Callable[[int, int], None]

_PACKAGE: Final = Path(__file__).resolve().parents[1]
#: In a clone it lies beside the package, where the package is installed, in it.
FOLDER: Final = (_PACKAGE if (_PACKAGE / "migrations").is_dir() else _PACKAGE.parent) / "migrations"

_STATEMENTS: Final = text(
    "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql <> '' AND name NOT LIKE 'sqlite%'"
)
_COMMENT: Final = re.compile(r"('[^']*')|--[^\n]*")
#: Commas and outermost parentheses of a table's definition.
_PUNCTUATION: Final = re.compile(r"'[^']*'|[(),]")


def upgrade(settings: Settings, tell: Tell | None = None) -> None:
    """Create DATA_DIR, for its owner only, and its database, or migrate the existing database.

    `tell` is called with the number of migrations run and their total.

    Raises:
        DatabaseTooNew: A newer version of the service has migrated the database.
    """
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database_url, synchronous=settings.synchronous)
    try:
        upgrade_database(database, tell=tell)
    finally:
        database.close()


def upgrade_database(database: Database, folder: Path = FOLDER, tell: Tell | None = None) -> None:
    """Run the migrations in `folder` that the database lacks; a concurrent upgrade waits for the first.

    Raises:
        DatabaseTooNew: The database is at a migration that is not in `folder`.
        ReferencesBroken: A migration removed rows that others refer to; nothing was changed.
    """
    migrated = without_references(database)
    try:
        with migrated.write() as tx:
            _wait_for_others(tx)
            _refuse_newer(tx, folder)
            config = config_for(folder, tx)
            if tell:
                config.attributes["after_each"] = _counting(tell, len(_lacking(tx, folder)))
            command.upgrade(config, "head")
            _check_references(tx)
    finally:
        migrated.close()


def is_current(database: Database) -> bool:
    """Return whether the database is at the newest migration; False if it is empty, behind or ahead."""
    with database.read() as tx:
        return _heads(tx) == (_newest(FOLDER),)


def snapshot(database: Database) -> str:
    """Return the statements that create the schema of an SQLite database, one column or constraint per line.

    Tables are in the order of `pausable/db/tables.py`, each with its indexes, without comments: equal schemas have
    equal texts.
    """
    with database.read() as tx:
        statements = sorted(tx.execute(_STATEMENTS), key=_place)
    return "\n".join(_laid_out(_bare(statement.sql)) for statement in statements)


def config_for(folder: Path, tx: Connection) -> Config:
    """Return the Alembic configuration for the migrations in `folder` within the caller's transaction."""
    config = Config(attributes={"connection": tx})
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def without_references(database: Database) -> Database:
    """Return the same database with SQLite's foreign keys disabled (sqlite.org/lang_altertable.html#otheralter).

    Most changes rebuild a table, and dropping the old one would delete the rows that refer to it. The PRAGMA has no
    effect inside a transaction, hence the separate connection.
    """
    other = Database(database.url)
    if other.is_sqlite:
        event.listen(other.engine(), "connect", _rest_references)
    return other


def _lacking(tx: Connection, folder: Path) -> list[Script]:
    """Return the migrations that have not been run."""
    return [*_scripts(folder).iterate_revisions("head", _heads(tx) or "base")]


def _counting(tell: Tell, total: int) -> Callable[..., None]:
    """Return the callback for Alembic after each migration."""
    done = count(1)
    return lambda **_told: tell(next(done), total)


def _rest_references(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA foreign_keys = OFF")


def _check_references(tx: Connection) -> None:
    if tx.dialect.name == "sqlite" and (broken := tx.execute(text("PRAGMA foreign_key_check")).scalars().all()):
        raise ReferencesBroken(sorted(set(broken)))


def _wait_for_others(tx: Connection) -> None:
    """Queue behind other upgrades on PostgreSQL for as long as needed; SQLite's writers queue anyway."""
    if tx.dialect.name == "postgresql":
        lift_bounds(tx.connection.driver_connection)  # a migration may take its time
        tx.execute(text("SELECT pg_advisory_xact_lock(hashtext('migrations'))"))
        tx.execute(text("SET LOCAL lock_timeout = '5s'"))


def _refuse_newer(tx: Connection, folder: Path) -> None:
    known = {script.revision for script in _scripts(folder).walk_revisions()}
    for revision in _heads(tx):
        if revision not in known:
            raise DatabaseTooNew(revision)


def _heads(tx: Connection) -> tuple[str, ...]:
    return MigrationContext.configure(tx).get_current_heads()


@cache
def _newest(folder: Path) -> str | None:
    return _scripts(folder).get_current_head()


def _scripts(folder: Path) -> ScriptDirectory:
    return ScriptDirectory(folder)


def _place(statement: Row[Any]) -> tuple[int, bool, str]:
    tables = list(metadata.tables)
    place = tables.index(statement.tbl_name) if statement.tbl_name in tables else len(tables)
    return place, statement.type != "table", statement.name


def _bare(sql: str) -> str:
    """Return a statement without comments and with single spaces."""
    return " ".join(_COMMENT.sub(lambda found: found[1] or "", sql).split())


def _laid_out(sql: str) -> str:
    if not sql.startswith("CREATE TABLE"):
        return sql.replace(" WHERE ", "\n    WHERE ") + ";\n"
    head, *parts, tail = _parts(sql)
    columns = ",\n    ".join(part.strip() for part in parts)
    return f"{head.strip()} (\n    {columns}\n){tail.rstrip()};\n"


def _parts(sql: str) -> Iterator[str]:
    """Yield the parts before, between and after the commas of a table's parentheses."""
    depth = start = 0
    for found in _PUNCTUATION.finditer(sql):
        depth_before, depth = depth, depth + {"(": 1, ")": -1}.get(found[0], 0)
        if {depth_before, depth} == {0, 1} or (found[0] == "," and depth == 1):
            yield sql[start : found.start()]
            start = found.end()
    yield sql[start:]
