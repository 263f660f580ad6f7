"""While the database is locked or gone, requests are answered with 503 and when to come again; nothing is half done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from pausable.db.database import DriverError, is_outage
from tests.web.calling import Caller, everything, problem, slug

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from pausable.db.database import Database
    from tests.web.serving import Served


def test_a_database_that_is_locked_for_long_is_answered_with_503(bob: Caller, database: Database) -> None:
    address = bob.start("three")
    before = everything(database)
    with database.glance() as tx:
        tx.exec_driver_sql("PRAGMA busy_timeout = 10")
    locker = locking(database)

    refused = bob.post(f"{address}/pause")
    looked = bob.get(address)
    locker.rollback()
    locker.close()

    assert (refused.status_code, slug(refused)) == (503, "database-unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    assert looked.status_code == 200
    assert everything(database) == before
    assert bob.post(f"{address}/pause").status_code == 200


def locking(database: Database) -> Connection:
    """Somebody with a program of SQLite's own, who does not queue, began to write and went away."""
    locker = database.engine().connect()
    locker.exec_driver_sql("BEGIN IMMEDIATE")
    return locker


def test_a_database_that_is_gone_is_answered_with_503(served: Served, bob: Caller, database: Database) -> None:
    database.close()
    file = served.settings.data_dir / "operations.db"
    file.unlink()
    file.mkdir()

    refused = bob.get("/operations")

    assert (refused.status_code, slug(refused)) == (503, "database-unavailable")
    assert str(file) not in problem(refused)["detail"]


def test_an_error_of_the_database_that_is_ours_is_a_failure(bob: Caller, database: Database) -> None:
    with database.write() as tx:
        tx.exec_driver_sql("ALTER TABLE events RENAME TO gone")

    assert bob.get("/operations/1/events").status_code == 404
    assert slug(bob.post("/operations", {"workflow": "three"})) == "failure"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (psycopg.errors.AdminShutdown("terminating connection due to administrator command"), True),
        (psycopg.errors.LockNotAvailable("canceling statement due to lock timeout"), True),
        (psycopg.errors.ConnectionFailure("the server went away"), True),
        (psycopg.errors.UndefinedColumn("no such column"), False),
        (psycopg.errors.CheckViolation("new row violates"), False),
        (OperationalError("SELECT", {}, psycopg.OperationalError("connection refused")), True),
        (DriverError("database is locked"), True),
        (DriverError("no such table: operations"), False),
        (ValueError("database is locked"), False),
    ],
)
def test_an_outage_is_told_from_a_fault_of_ours(error: Exception, expected: bool) -> None:
    assert is_outage(error) is expected
