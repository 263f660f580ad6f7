"""Following: whoever follows is woken by each change of what they follow, by nothing else, and no change is missed."""

from __future__ import annotations

import random
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event, select, update

from pausable.db.database import Database
from pausable.db.history import Sweep, append_event, mark_of_all, mark_of_work
from pausable.db.tables import events, operations, steps
from pausable.db.workers import mark_worker_lost, record_heartbeat, register_worker, stop_worker
from pausable.model.states import Completion, StepState
from pausable.processes import Process
from pausable.service.feed import Feed, Follower
from tests.databases import KINDS
from tests.store.rows import NOW, add_operation, add_steps
from tests.web.serving import DEADLINE, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from tests.conftest import NewDatabase


@pytest.fixture(params=KINDS)
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def database(new_database: NewDatabase, tmp_path: Path) -> Iterator[Database]:
    database = Database(new_database(tmp_path))
    yield database
    wait_for(lambda: not looks())
    database.close()


@pytest.fixture
def feed(database: Database) -> Feed:
    return Feed(database)


def looks() -> int:
    """How many threads look at a database."""
    return sum(thread.name == "feed" for thread in threading.enumerate())


def new_operation(database: Database) -> int:
    with database.write() as tx:
        made = add_operation(tx, Completion.IN_PROGRESS)
        add_steps(tx, made, StepState.RUNNING, StepState.PENDING)
    return made


def raise_version(database: Database, operation_id: int) -> None:
    with database.write() as tx:
        tx.execute(update(operations).where(operations.c.id == operation_id).values(version=operations.c.version + 1))


def note(database: Database, operation_id: int) -> None:
    with database.write() as tx:
        append_event(tx, operation_id, at=NOW, who="ada", new="PAUSED")


def move_on(database: Database, operation_id: int, done: int) -> None:
    with database.write() as tx:
        tx.execute(update(steps).where(steps.c.operation_id == operation_id).values(done=done))


def test_each_kind_of_change_wakes_whoever_follows_the_operation(database: Database, feed: Feed) -> None:
    followed = new_operation(database)

    with feed.follow([followed]) as follower:
        for change in (raise_version, note, partial(move_on, done=2**62), partial(move_on, done=7)):
            change(database, followed)
            assert follower.wait(DEADLINE)
        assert not follower.wait(0.5)


def test_what_others_do_wakes_nobody(database: Database, feed: Feed) -> None:
    followed, other = new_operation(database), new_operation(database)

    with feed.follow([followed]) as follower, feed.follow([other]) as its_follower:
        note(database, other)

        assert its_follower.wait(DEADLINE)
        assert not follower.wait(0)


def test_a_change_between_two_waits_is_told_by_the_second(database: Database, feed: Feed) -> None:
    followed = new_operation(database)

    with feed.follow([followed]) as follower, feed.follow([followed]) as other:
        note(database, followed)
        assert other.wait(DEADLINE)

        assert follower.wait(0)


def test_whoever_turns_to_another_operation_follows_that_one_alone(database: Database, feed: Feed) -> None:
    former, other = new_operation(database), new_operation(database)

    with feed.follow([former]) as follower:
        follower.turn_to([other])
        note(database, former)
        assert not follower.wait(0.5)
        note(database, other)

        assert follower.wait(DEADLINE)


@pytest.mark.parametrize("sweep", [mark_of_all, mark_of_work, None])
def test_what_changes_while_somebody_turns_is_told_by_the_next_wait(
    database: Database, feed: Feed, sweep: Sweep | None
) -> None:
    followed, other = new_operation(database), new_operation(database)
    follower = Follower(feed, [followed], sweep)  # no thread looks for it meanwhile
    follower.turn_to([followed])

    note(database, followed)
    follower.turn_to([followed, other])

    assert follower.wait(0)
    follower.turn_to([followed])
    assert not follower.wait(0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_has_died_is_followed_by_another(database: Database, feed: Feed) -> None:
    followed = new_operation(database)
    feed.end_when(lambda: 1 // 0 == 0)
    with feed.follow([followed]):
        wait_for(lambda: not looks())
    feed.end_when(lambda: False)

    with feed.follow([followed]) as follower:
        note(database, followed)

        assert follower.wait(DEADLINE)


def test_whoever_follows_everything_hears_of_each_start_and_each_move(database: Database, feed: Feed) -> None:
    with feed.follow(sweep=mark_of_all) as follower:
        started = new_operation(database)
        assert follower.wait(DEADLINE)

        note(database, started)
        assert follower.wait(DEADLINE)


def test_whoever_follows_work_hears_of_workers_that_come_and_go_and_of_what_is_taken(
    database: Database, feed: Feed
) -> None:
    new_operation(database)
    me, in_hand = Process("here", "boot", 7, 1), update(steps).where(steps.c.state == StepState.RUNNING)
    changes: list[Callable[[Connection], object]] = [
        lambda tx: register_worker(tx, me, NOW),
        lambda tx: tx.execute(in_hand.values(worker_id=2)),
        lambda tx: tx.execute(in_hand.values(done=1)),
        lambda tx: tx.execute(in_hand.values(state=StepState.SUCCESS)),
        lambda tx: mark_worker_lost(tx, 2, NOW),
        lambda tx: record_heartbeat(tx, 2, NOW),
        lambda tx: stop_worker(tx, 2, NOW),
    ]

    with feed.follow(sweep=mark_of_work) as follower:
        for change in changes:
            with database.write() as tx:
                change(tx)
            assert follower.wait(DEADLINE)


def test_an_event_that_is_committed_behind_one_with_a_larger_id_is_noticed(database: Database, feed: Feed) -> None:
    followed = new_operation(database)
    row = {"operation_id": followed, "at": NOW, "who": "ada", "new": "PAUSED"}
    with database.write() as tx:
        tx.execute(events.insert().values(id=8, **row))

    with feed.follow(sweep=mark_of_all) as follower:
        with database.write() as tx:
            tx.execute(events.insert().values(id=7, **row))

        assert follower.wait(DEADLINE)


def test_an_operation_that_is_taken_away_has_changed(database: Database, feed: Feed) -> None:
    followed = new_operation(database)

    with feed.follow([followed]) as follower:
        with database.write() as tx:
            for table in (steps, operations):
                column = table.c.id if table is operations else table.c.operation_id
                tx.execute(table.delete().where(column == followed))

        assert follower.wait(DEADLINE)


def test_one_thread_looks_for_all_and_ends_when_the_last_has_left(database: Database, feed: Feed) -> None:
    followed = new_operation(database)
    assert looks() == 0

    with feed.follow([followed]), feed.follow([followed]), feed.follow(sweep=mark_of_all):
        assert looks() == 1

    wait_for(lambda: not looks())
    with feed.follow([followed]) as follower:
        note(database, followed)
        assert follower.wait(DEADLINE)


def test_a_look_costs_the_same_statements_for_one_follower_and_for_many(database: Database, feed: Feed) -> None:
    some = [new_operation(database) for _ in range(20)]
    said: list[str] = []
    event.listen(database.engine(), "before_cursor_execute", lambda *call: said.append(call[2]))

    feed.look(frozenset(some[:1]), [mark_of_all, mark_of_work])
    of_one = len(said)
    feed.look(frozenset(some), [mark_of_all, mark_of_work])

    assert len(said) == 2 * of_one == 12


def test_whoever_waits_holds_no_connection(database: Database, feed: Feed) -> None:
    followed = new_operation(database)
    with feed.follow([followed]) as follower:
        follower.wait(0)

        assert "own" not in vars(database._mine)


def test_a_process_that_ends_lets_nobody_wait(database: Database, feed: Feed) -> None:
    ending = threading.Event()
    feed.end_when(ending.is_set)
    with feed.follow([1]) as follower:
        threading.Timer(0.1, ending.set).start()

        assert not follower.wait(DEADLINE)
        assert follower.is_over


def test_an_outage_is_outlived_and_what_changed_in_it_is_told(database: Database, feed: Feed) -> None:
    followed = new_operation(database)

    with feed.follow([followed]) as follower:
        write(database, "ALTER TABLE steps RENAME TO gone")
        note(database, followed)
        assert not follower.wait(0.5)
        write(database, "ALTER TABLE gone RENAME TO steps")

        assert follower.wait(DEADLINE)


def write(database: Database, statement: str) -> None:
    with database.write() as tx:
        tx.exec_driver_sql(statement)


def test_whatever_the_race_the_last_change_is_always_seen(database: Database, feed: Feed) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201
    followed = [new_operation(database) for _ in range(3)]
    last = 40
    people = [threading.Thread(target=see_to_the_end, args=(feed, one, last)) for one in followed for _ in range(3)]
    for person in people:
        person.start()

    chance = random.Random(seed)
    for done in range(1, last + 1):
        for one in chance.sample(followed, 3):
            move_on(database, one, done)
            threading.Event().wait(chance.random() * 0.02)

    for person in people:
        person.join(DEADLINE)
    assert not any(person.is_alive() for person in people), f"seed {seed}: a change was missed"


def see_to_the_end(feed: Feed, operation_id: int, last: int) -> None:
    """Read only when woken, until the last change has been read."""
    with feed.follow([operation_id]) as follower:
        while done_of(feed.database, operation_id) != last:
            if not follower.wait(DEADLINE):
                raise AssertionError("a change was missed")
    feed.database.close()


def done_of(database: Database, operation_id: int) -> int | None:
    with database.glance() as tx:
        found = tx.execute(select(steps.c.done).where(steps.c.operation_id == operation_id)).scalars()
        done: int | None = found.first()
    return done
