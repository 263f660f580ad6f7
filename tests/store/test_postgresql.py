"""What PostgreSQL can do to its clients that a file cannot: end, come back, and wait for one that has stopped."""

from __future__ import annotations

import multiprocessing
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from pausable.db.database import OF_AN_OUTAGE, Database, is_outage
from pausable.db.operations import find_operation, lock_operation
from pausable.model.states import Completion
from tests.databases import on_postgresql_alone
from tests.postgresql import running_postgresql
from tests.store.rows import add_operation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.synchronize import Event

    from tests.postgresql import PostgreSQL


@pytest.fixture(scope="module")
def mortal_server() -> Iterator[PostgreSQL]:
    """A server that a test may stop."""
    with running_postgresql() as server:
        yield server


@pytest.fixture
def counter(mortal_server: PostgreSQL) -> Iterator[Database]:
    """A database with a counter at 0, to which this thread is connected."""
    database = Database(mortal_server.create("counter"))
    with database.write() as tx:
        tx.execute(text("CREATE TABLE counter AS SELECT 0 AS value"))
    yield database
    database.close()
    mortal_server.drop("counter")


def count_up(database: Database) -> None:
    with database.write() as tx:
        tx.execute(text("UPDATE counter SET value = value + 1"))


def value_of(database: Database) -> int:
    with database.glance() as tx:
        value: int = tx.execute(text("SELECT value FROM counter")).scalar_one()
        return value


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["in good order", "as in a crash"])
def test_the_first_transaction_after_a_restart_of_the_server_goes_well(
    counter: Database, mortal_server: PostgreSQL, how: signal.Signals
) -> None:
    mortal_server.stop(how)
    mortal_server.start()
    count_up(counter)

    mortal_server.stop(how)
    mortal_server.start()
    assert value_of(counter) == 1

    mortal_server.stop(how)
    mortal_server.start()
    with counter.read() as tx:
        assert tx.execute(text("SELECT value FROM counter")).scalar_one() == 1


def test_a_transaction_that_the_servers_end_cuts_short_is_an_outage_and_changes_nothing(
    counter: Database, mortal_server: PostgreSQL
) -> None:
    with pytest.raises(OF_AN_OUTAGE) as raised:
        stop_in_the_middle(counter, mortal_server)
    for refused in (count_up, value_of, value_of):
        with pytest.raises(OF_AN_OUTAGE, match="connection"):
            refused(counter)
    mortal_server.start()

    assert is_outage(raised.value)
    assert value_of(counter) == 0
    count_up(counter)
    assert value_of(counter) == 1


def test_a_glance_that_the_servers_end_cuts_short_leaves_nothing_behind(
    counter: Database, mortal_server: PostgreSQL
) -> None:
    with pytest.raises(OF_AN_OUTAGE):
        glance_at_the_end_of(counter, mortal_server)
    mortal_server.start()

    assert value_of(counter) == 0


def glance_at_the_end_of(database: Database, server: PostgreSQL) -> None:
    with database.glance() as tx:
        server.stop()
        tx.execute(text("SELECT value FROM counter"))


def stop_in_the_middle(database: Database, server: PostgreSQL) -> None:
    with database.write() as tx:
        tx.execute(text("UPDATE counter SET value = 7"))
        server.stop()
        tx.execute(text("UPDATE counter SET value = 8"))


def test_a_url_may_have_options_and_patience_of_its_own(counter: Database) -> None:
    database = Database(f"{counter.url}&options=-c%20application_name=reports&connect_timeout=2")

    with database.glance() as tx:
        shown = [
            tx.execute(text(f"SHOW {name}")).scalar()
            for name in ("application_name", "lock_timeout", "idle_in_transaction_session_timeout")
        ]

    database.close()
    assert shown == ["reports", "5s", "4s"]


@on_postgresql_alone
def test_a_process_that_stops_inside_a_transaction_keeps_nobody_from_the_row_for_five_seconds(
    database: Database,
) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
    spawn = multiprocessing.get_context("spawn")
    holds = spawn.Event()
    as_the_service = database.url.partition("&options=")[0]
    stopped = spawn.Process(target=hold_and_stop, args=(as_the_service, operation, holds))
    stopped.start()
    assert holds.wait(60)

    with database.write() as tx:  # raises after five seconds without the row
        locked = lock_operation(tx, operation)

    assert locked is not None
    assert locked.completion is Completion.SCHEDULED
    os.kill(stopped.pid or 0, signal.SIGCONT)
    stopped.join(60)
    assert stopped.exitcode == 0, "the transaction that had lost its row was to end as an outage"
    with database.read() as tx:
        assert find_operation(tx, operation) == locked


def hold_and_stop(url: str, operation: int, holds: Event) -> None:
    """Take the operation's row and change it, stop until somebody lets this process go on, and try to commit."""
    database = Database(url)
    try:
        with database.write() as tx:
            lock_operation(tx, operation)
            tx.execute(text("UPDATE operations SET reason = 'never committed'"))
            holds.set()
            os.kill(os.getpid(), signal.SIGSTOP)
            lock_operation(tx, operation)
    except Exception as fault:
        raise SystemExit(not is_outage(fault)) from fault
    raise SystemExit(1)


@pytest.fixture
def hurried(counter: Database) -> Iterator[Database]:
    """The same database, whose statements have little time."""
    database = Database(f"{counter.url}&options=-c%20statement_timeout=1s")
    yield database
    database.close()


def test_a_server_that_falls_silent_holds_nobody_up_for_good(hurried: Database, counter: Database) -> None:
    with hurried.glance() as tx:
        backend = tx.execute(text("SELECT pg_backend_pid()")).scalar_one()
    os.kill(backend, signal.SIGSTOP)

    try:
        with pytest.raises(OF_AN_OUTAGE, match="has not answered") as raised:
            count_up(hurried)
        assert is_outage(raised.value)
        assert value_of(counter) == 0
        count_up(hurried)
        assert value_of(counter) == 1
    finally:
        os.kill(backend, signal.SIGCONT)


def test_a_statement_that_takes_too_long_is_an_outage(hurried: Database) -> None:
    with pytest.raises(OF_AN_OUTAGE) as raised:
        sleep_in(hurried)

    assert is_outage(raised.value)
    assert value_of(hurried) == 0


def sleep_in(database: Database) -> None:
    with database.glance() as tx:
        tx.execute(text("SELECT pg_sleep(60)"))


def test_who_only_reads_may_compute_for_longer_than_who_holds_rows(counter: Database) -> None:
    shown = text("SHOW idle_in_transaction_session_timeout")

    with counter.read() as tx:
        reading = tx.execute(shown).scalar()
    with counter.write() as tx:
        writing = tx.execute(shown).scalar()

    assert (reading, writing) == ("1min", "4s")


def test_one_way_to_the_server_begins_a_transaction_and_one_ends_it(counter: Database) -> None:
    with counter.glance() as tx:
        connection: Any = tx.connection.driver_connection
    ways: list[object] = []
    wait = connection.wait

    def counted(*given: object) -> object:
        ways.append(given)
        return wait(*given)

    connection.wait = counted

    count_up(counter)
    with counter.read() as tx:
        tx.execute(text("SELECT value FROM counter")).scalar_one()

    assert len(ways) == 2 * 3
