"""PostgreSQL behind a real pgbouncer, in the modes that keep transactions whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from app.supervisor.broker import free_port
from app.supervisor.checks import faults_of
from pausable.config import Settings
from pausable.db.database import Database
from pausable.db.migrations import is_current, upgrade_database
from pausable.db.operations import find_operation
from tests.pgbouncer import running_pgbouncer
from tests.store.rows import add_operation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgresql import PostgreSQL


@pytest.fixture(params=["session", "transaction"])
def pooled(request: pytest.FixtureRequest, postgresql: PostgreSQL) -> Iterator[Database]:
    """A migrated database that is reached through a pooler."""
    name = f"pooled_{request.param}"
    postgresql.create(name)
    try:
        with running_pgbouncer(postgresql, name, request.param) as url:
            database = Database(url)
            upgrade_database(database)
            yield database
            database.close()
    finally:
        postgresql.drop(name)


def test_everything_works_through_a_pooler(pooled: Database) -> None:
    with pooled.write() as tx:
        operation = add_operation(tx)

    with pooled.read() as tx:
        assert find_operation(tx, operation) is not None
    assert is_current(pooled)


def test_no_statement_is_left_prepared_for_whoever_gets_the_session_next(pooled: Database) -> None:
    with pooled.write() as tx:
        operation = add_operation(tx)

    def find() -> None:
        for _ in range(20):
            with pooled.glance() as tx:
                assert find_operation(tx, operation) is not None
            with pooled.write() as tx:
                assert find_operation(tx, operation) is not None
        pooled.close()

    with ThreadPoolExecutor(8) as people:
        for done in [people.submit(find) for _ in range(16)]:
            done.result()


def test_each_transaction_has_its_bounds_and_leaves_none_behind(pooled: Database) -> None:
    names = ("lock_timeout", "idle_in_transaction_session_timeout", "statement_timeout")

    def shown() -> list[object]:
        return [tx.execute(text(f"SHOW {name}")).scalar() for name in names]

    with pooled.write() as tx:
        assert shown() == ["5s", "4s", "15s"]
    with pooled.read() as tx:
        assert shown() == ["5s", "1min", "15s"]
    with pooled.glance() as tx:
        assert shown() == ["0", "0", "0"]


def test_pre_flight_finds_no_fault_with_it(pooled: Database, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, input_dir=tmp_path, database_url=pooled.url)

    assert faults_of(settings, {"PORT", "BROKER_URL"}) == []


def test_pre_flight_names_a_pooler_that_refuses_transactions(postgresql: PostgreSQL, tmp_path: Path) -> None:
    with running_pgbouncer(postgresql, "postgres", "statement") as url:
        settings = Settings(data_dir=tmp_path, input_dir=tmp_path, database_url=url)

        [fault] = faults_of(settings, {"PORT", "BROKER_URL"})

    assert "statement pooling mode" in fault


def test_of_several_hosts_one_that_answers_is_taken(postgresql: PostgreSQL, tmp_path: Path) -> None:
    with running_pgbouncer(postgresql, "postgres", "session") as url:
        several = url.replace("@127.0.0.1:", f"@127.0.0.1:{free_port()},127.0.0.1:")
        settings = Settings(data_dir=tmp_path, input_dir=tmp_path, database_url=several)

        assert faults_of(settings, {"PORT", "BROKER_URL"}) == []
        database = Database(several)
        with database.glance() as tx:
            assert tx.execute(text("SELECT 1")).scalar() == 1
        database.close()
