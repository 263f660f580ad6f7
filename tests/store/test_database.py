from __future__ import annotations

import multiprocessing
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from pausable.db.database import Database
from tests.databases import on_sqlite_alone
from tests.deadlines import WAIT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from tests.conftest import NewDatabase


@pytest.fixture
def counter(new_database: NewDatabase, tmp_path: Path) -> Iterator[Database]:
    """A database with a counter at 0."""
    database = Database(new_database(tmp_path))
    with database.write() as tx:
        tx.execute(text("CREATE TABLE counter (value INTEGER NOT NULL CHECK (value >= 0))"))
        tx.execute(text("INSERT INTO counter VALUES (0)"))
    yield database
    database.close()


def value_in(tx: Connection) -> int:
    value: int = tx.execute(text("SELECT value FROM counter")).scalar_one()
    return value


def locked_value_in(tx: Connection) -> int:
    """The value, which nobody else changes before this transaction ends; on SQLite a writer is alone anyway."""
    if tx.dialect.name == "postgresql":
        tx.execute(text("SELECT FROM counter FOR NO KEY UPDATE"))
    return value_in(tx)


def value_of(database: Database) -> int:
    with database.read() as tx:
        return value_in(tx)


def count_up(database: Database, times: int, *, close: bool = True) -> None:
    for _ in range(times):
        with database.write() as tx:
            tx.execute(text("UPDATE counter SET value = :value"), {"value": locked_value_in(tx) + 1})
    if close:
        database.close()


def test_of_writers_at_once_none_overwrites_another(counter: Database) -> None:
    with ThreadPoolExecutor(4) as writers:
        for done in [writers.submit(count_up, counter, 50) for _ in range(4)]:
            done.result()

    assert value_of(counter) == 200


def test_writers_in_other_processes_wait_too(counter: Database) -> None:
    children = [multiprocessing.get_context("fork").Process(target=count_up, args=(counter, 50)) for _ in range(2)]
    for child in children:
        child.start()
    count_up(counter, 50)
    for child in children:
        child.join()

    assert [child.exitcode for child in children] == [0, 0]
    assert value_of(counter) == 150


def test_a_write_that_raises_is_undone(counter: Database) -> None:
    with pytest.raises(ZeroDivisionError), counter.write() as tx:
        tx.execute(text("UPDATE counter SET value = :value"), {"value": 7 + value_in(tx) // 0})

    assert value_of(counter) == 0
    count_up(counter, 1)
    assert value_of(counter) == 1


def test_a_write_that_the_database_refuses_leaves_the_connection_usable(counter: Database) -> None:
    with pytest.raises(IntegrityError), counter.write() as tx:
        tx.execute(text("UPDATE counter SET value = -1"))

    count_up(counter, 1)
    assert value_of(counter) == 1


def test_a_read_sees_one_moment_throughout(counter: Database) -> None:
    with counter.read() as tx, ThreadPoolExecutor(1) as other:
        before = value_in(tx)
        other.submit(count_up, counter, 1).result()

        assert value_in(tx) == before

    assert value_of(counter) == 1


def test_a_glance_sees_the_present_and_holds_nobody_up(counter: Database) -> None:
    with ThreadPoolExecutor(1) as other:
        for expected in (0, 1):
            with counter.glance() as tx:
                assert value_in(tx) == expected
            other.submit(count_up, counter, 1).result()


def write_slowly(database: Database, inside: Event, may_leave: Event) -> None:
    """Add 10, beginning at once and ending when it may."""
    with database.write() as tx:
        locked_value_in(tx)
        inside.set()
        may_leave.wait(WAIT)
        tx.execute(text("UPDATE counter SET value = value + 10"))
    database.close()


def test_a_write_waits_for_the_one_before_it(counter: Database) -> None:
    inside, may_leave = Event(), Event()

    with ThreadPoolExecutor(2) as writers:
        first = writers.submit(write_slowly, counter, inside, may_leave)
        assert inside.wait(WAIT)
        second = writers.submit(count_up, counter, 1)
        assert not second.done()
        may_leave.set()
        first.result()
        second.result()

    assert value_of(counter) == 11


@pytest.mark.parametrize(("asked", "level"), [("FULL", 2), ("NORMAL", 1)])
def test_every_connection_writes_ahead_as_safely_as_asked(tmp_path: Path, asked: str, level: int) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.db'}", synchronous="FULL" if asked == "FULL" else "NORMAL")

    with database.read() as tx:
        pragmas = [
            tx.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous", "foreign_keys")
        ]

    database.close()
    assert pragmas == ["wal", level, 1]


def test_a_child_process_leaves_its_parents_connection_alone(counter: Database) -> None:
    child = multiprocessing.get_context("fork").Process(target=value_of, args=(counter,))
    with counter.write() as tx:
        tx.execute(text("UPDATE counter SET value = 5"))
        child.start()
        child.join()

    assert child.exitcode == 0
    assert value_of(counter) == 5


@on_sqlite_alone
def test_what_a_child_process_commits_is_kept_when_its_parent_and_others_close_the_file(counter: Database) -> None:
    fork = multiprocessing.get_context("fork")
    parent_closed, child_wrote = fork.Event(), fork.Event()

    def write_before_and_after() -> None:
        count_up(counter, 1, close=False)
        child_wrote.set()
        parent_closed.wait(WAIT)
        count_up(counter, 1)

    child = fork.Process(target=write_before_and_after)
    child.start()
    assert child_wrote.wait(WAIT)
    counter.close()
    with sqlite3.connect(str(counter.file)) as other:
        assert other.execute("SELECT value FROM counter").fetchall() == [(1,)]
    other.close()
    parent_closed.set()
    child.join()

    assert value_of(counter) == 2


def test_a_fork_waits_for_the_transaction_of_another_thread(counter: Database) -> None:
    inside, forking = Event(), Event()

    with ThreadPoolExecutor(1) as other:
        written = other.submit(write_slowly, counter, inside, forking)
        assert inside.wait(WAIT)
        child = multiprocessing.get_context("fork").Process(target=count_up, args=(counter, 1))
        forking.set()
        child.start()
        written.result()
    child.join()

    assert child.exitcode == 0
    assert value_of(counter) == 11


def test_a_database_that_was_closed_opens_again(counter: Database) -> None:
    counter.close()
    counter.close()

    count_up(counter, 1)

    assert value_of(counter) == 1


@on_sqlite_alone
def test_somebody_else_may_read_the_file_meanwhile(counter: Database) -> None:
    with counter.write() as tx:
        tx.execute(text("UPDATE counter SET value = 5"))
        with sqlite3.connect(str(counter.file)) as other:
            assert other.execute("SELECT value FROM counter").fetchall() == [(0,)]
        other.close()


def test_the_first_thing_done_with_a_new_file_may_be_a_write(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new.db'}")

    with database.write() as tx:
        tx.exec_driver_sql("CREATE TABLE fresh (one INTEGER)")

    with database.read() as tx:
        assert tx.exec_driver_sql("SELECT count(*) FROM fresh").scalar() == 0
    database.close()


def test_of_many_threads_only_so_many_keep_their_connections(database: Database) -> None:
    done, all_read = Event(), Barrier(6, timeout=WAIT)

    def read() -> None:
        with database.glance() as tx:
            tx.execute(text("SELECT 1"))
        all_read.wait()
        database.close_beyond(2)
        all_read.wait()
        done.wait(WAIT)
        database.close()

    people = [Thread(target=read) for _ in range(5)]
    for person in people:
        person.start()
    all_read.wait()
    all_read.wait()
    kept = len(database._all)
    done.set()
    for person in people:
        person.join()

    assert kept <= 2
