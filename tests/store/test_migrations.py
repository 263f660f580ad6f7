from __future__ import annotations

import multiprocessing
import re
import shutil
import sqlite3
import stat
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from pausable.config import Settings
from pausable.db.database import Database
from pausable.db.migrations import FOLDER, is_current, snapshot, upgrade, upgrade_database
from pausable.db.schema import SCHEMA, schema_text
from pausable.db.tables import metadata
from pausable.errors import DatabaseTooNew, ReferencesBroken
from tests.databases import on_sqlite_alone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.postgresql import PostgreSQL

if TYPE_CHECKING:
    FolderWith = Callable[[str], Path]

_NEXT = """
from alembic import op

revision = "9999"
down_revision = "{newest}"


def upgrade():
    {body}
"""
_REBUILD = """
    with op.batch_alter_table("user", recreate="always") as user:
        user.alter_column("name", new_column_name="called")
"""

#: What PostgreSQL has of each table: its columns, constraints and indexes.
_FACTS = (
    "SELECT table_name, column_name, data_type, is_nullable, column_default, is_identity "
    "FROM information_schema.columns WHERE table_schema = 'public'",
    "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace = 'public'::regnamespace",
    "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'",
)


@pytest.fixture
def empty(database_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database without a schema."""
    if database_kind == "sqlite":
        yield Database(f"sqlite:///{tmp_path / 'empty.db'}")
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    database = Database(server.create("without_schema"))
    yield database
    database.close()
    server.drop("without_schema")


@pytest.fixture
def folder_with(tmp_path: Path) -> FolderWith:
    """A copy of the migrations, with one more behind them that does what it is given."""

    def write(body: str) -> Path:
        folder: Path = shutil.copytree(FOLDER, tmp_path / "migrations")
        newest = max(path.name[:4] for path in folder.glob("versions/*_*.py"))
        (folder / "versions" / "9999_next.py").write_text(_NEXT.format(newest=newest, body=body))
        return folder

    return write


def test_schema_sql_says_what_the_migrations_give() -> None:
    written = SCHEMA.read_text()

    given = schema_text(former=written)

    assert given == written, "run `python -m migrations`, and read what changed"


@on_sqlite_alone
def test_schema_sql_makes_the_schema_of_the_migrations(database: Database, empty: Database) -> None:
    connection = sqlite3.connect(str(empty.file))

    connection.executescript(SCHEMA.read_text())
    connection.close()

    assert snapshot(empty) == snapshot(database)


def test_everything_in_schema_sql_is_explained() -> None:
    lines = SCHEMA.read_text().splitlines()

    columns = [line for line in lines if re.match(r" {4}[a-z]", line)]
    above = [before for before, line in pairwise(lines) if line.startswith("CREATE")]

    assert columns
    assert [line for line in columns if " -- " not in line] == []
    assert all(line.startswith("-- ") for line in above)


def test_migrations_give_what_alembic_wants_for_the_tables(database: Database) -> None:
    with database.read() as tx:
        differences = compare_metadata(MigrationContext.configure(tx), metadata)

    assert differences == []


def test_migrations_give_what_the_tables_would_make_themselves(database: Database, empty: Database) -> None:
    with empty.write() as tx:
        metadata.create_all(tx)

    made, migrated = _facts(empty), _facts(database)

    assert [fact for fact in migrated if "alembic_version" not in fact] == made


def test_an_upgrade_makes_the_folder_of_the_data_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new" / "var")

    upgrade(settings)

    assert is_current(Database(settings.database_url))
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700


def test_migrations_are_found_from_any_folder(empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    upgrade_database(empty)

    assert is_current(empty)


def test_an_upgrade_of_a_current_database_changes_nothing(database: Database) -> None:
    before = _facts(database)

    upgrade_database(database)

    assert _facts(database) == before


def test_an_empty_database_is_not_current(empty: Database) -> None:
    assert not is_current(empty)


def test_a_database_that_is_ahead_is_not_current_and_is_left_alone(database: Database, folder_with: FolderWith) -> None:
    upgrade_database(database, folder_with("op.execute('CREATE TABLE later (id INTEGER)')"))

    with pytest.raises(DatabaseTooNew, match="9999"):
        upgrade_database(database)

    assert not is_current(database)
    assert "later" in _tables(database)


def test_a_migration_that_fails_leaves_an_empty_database_empty(empty: Database, folder_with: FolderWith) -> None:
    broken = folder_with("op.execute('CREATE TABLE half (id INTEGER)'); raise RuntimeError('half-way')")

    with pytest.raises(RuntimeError, match="half-way"):
        upgrade_database(empty, broken)

    assert _tables(empty) == set()


def test_a_migration_that_fails_leaves_the_database_where_it_stood(database: Database, folder_with: FolderWith) -> None:
    before = _facts(database)
    broken = folder_with("op.execute('CREATE TABLE half (id INTEGER)'); raise RuntimeError('half-way')")

    with pytest.raises(RuntimeError, match="half-way"):
        upgrade_database(database, broken)

    assert _facts(database) == before
    assert is_current(database)


@on_sqlite_alone
def test_a_migration_that_rebuilds_a_table_keeps_what_refers_to_it(database: Database, folder_with: FolderWith) -> None:
    _add_user_with_token(database)

    upgrade_database(database, folder_with(_REBUILD))

    with database.read() as tx:
        kept = tx.execute(text('SELECT called, digest FROM "user" JOIN tokens ON "user".id = user_id')).all()

    assert kept == [("ada", "d")]


def test_a_migration_that_loses_what_is_referred_to_is_refused(database: Database, folder_with: FolderWith) -> None:
    _add_user_with_token(database)

    with pytest.raises((ReferencesBroken, IntegrityError), match="tokens"):
        upgrade_database(database, folder_with("""op.execute('DELETE FROM "user"')"""))

    with database.read() as tx:
        assert tx.execute(text('SELECT count(*) FROM "user"')).scalar_one() == 1


@on_sqlite_alone
def test_references_are_watched_again_after_an_upgrade(empty: Database) -> None:
    upgrade_database(empty)

    with empty.read() as tx:
        assert tx.execute(text("PRAGMA foreign_keys")).scalar_one() == 1


def test_processes_that_upgrade_at_once_all_succeed(empty: Database) -> None:
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(4)
    upgrading = [spawn.Process(target=_upgrade_after, args=(start, _url(empty))) for _ in range(4)]

    for process in upgrading:
        process.start()
    for process in upgrading:
        process.join(60)

    assert [process.exitcode for process in upgrading] == [0] * 4
    assert is_current(empty)


def _upgrade_after(start: multiprocessing.synchronize.Barrier, url: str) -> None:
    start.wait(60)
    upgrade_database(Database(url))


def _url(database: Database) -> str:
    return database.url


def _add_user_with_token(database: Database) -> None:
    with database.write() as tx:
        tx.execute(text("""INSERT INTO "user" (id, name, role, created_at) VALUES (1, 'ada', 'user', 0)"""))
        tx.execute(text("INSERT INTO tokens (user_id, prefix, digest, created_at) VALUES (1, 'p', 'd', 0)"))


def _tables(database: Database) -> set[str]:
    with database.read() as tx:
        return set(inspect(tx).get_table_names())


def _facts(database: Database) -> list[str]:
    """Each column, constraint and index, with its table, in whatever order they were made."""
    if not database.is_sqlite:
        with database.read() as tx:
            return sorted(str(row) for query in _FACTS for row in tx.execute(text(query)))
    statements = snapshot(database).replace('"', "").strip().split("\n\n")
    facts = [[fact.strip(" ,") for fact in re.split(r"\n| CONSTRAINT ", statement)] for statement in statements]
    return sorted(f"{first} {fact}" for first, *rest in facts for fact in ["made", *filter(None, rest)])
