"""The page of workers and queues: who is there, what each runs and for whom, what waits, and what was done."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

import pytest

from app.web.console.charts import HEIGHT, chart
from pausable import clock
from pausable.db.users import user_named
from pausable.db.workers import stop_worker
from pausable.engine.metrics import FINISHED, STEP_SECONDS
from pausable.service import pages
from pausable.service.pages import Backlog
from tests.web.visiting import Visitor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pausable.db.database import Database
    from tests.web.serving import Served
    from tests.web.visiting import Page

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def ada(served: Served) -> Visitor:
    """An admin."""
    return Visitor.signed_in(served, "ada")


@pytest.fixture
def bob(served: Served) -> Visitor:
    """A user."""
    return Visitor.signed_in(served, "bob")


def look(visitor: Visitor) -> Page:
    page = visitor.get("/console/workers")
    assert page.status == 200, page.html
    return page


def enter(database: Database, host: str, **columns: float | str | None) -> int:
    """A worker in the table; returns its id."""
    now = clock.now()
    row = {"host": host, "boot_id": "b", "start_time": 1, "heartbeat": 1, "seen_at": now, "started_at": now - 90}
    row |= {"queues": '["operations"]', **columns}
    with database.write() as tx:
        pid = tx.exec_driver_sql("SELECT count(*) FROM workers").scalar_one() + 100
        names = ", ".join([*row, "pid"])
        marks = ", ".join("%s" if tx.dialect.name == "postgresql" else "?" for _ in range(len(row) + 1))
        tx.exec_driver_sql(f"INSERT INTO workers ({names}) VALUES ({marks})", (*row.values(), pid))  # noqa: S608
        number: int = tx.exec_driver_sql("SELECT max(id) FROM workers").scalar_one()
        return number


def start(served: Served, name: str) -> int:
    """An operation of that user."""
    with served.commands.engine.database.glance() as tx:
        user = user_named(tx, name)
    assert user is not None
    return served.commands.start(user, "three", {})[0].operation.id


def run(served: Served, visitor: Visitor) -> int:
    """An operation whose first step is in hand."""
    number = start(served, visitor.name)
    served.claim(f"/operations/{number}")
    return number


def hand_over(database: Database, worker: int, **columns: str | int) -> None:
    """Put all that runs into the hands of this worker."""
    given = {"worker_id": worker, **columns}
    with database.write() as tx:
        sets = ", ".join(f"{name} = {value!r}" for name, value in given.items())
        tx.exec_driver_sql(f"UPDATE steps SET {sets} WHERE state = 'Running'")  # noqa: S608


def test_a_worker_is_shown_with_its_queues_and_what_it_runs(served: Served, database: Database, bob: Visitor) -> None:
    mine = run(served, bob)
    hand_over(database, enter(database, "alpha"), process=4711, done=3, total=10)

    page = look(bob)

    assert "alpha , process 101 alive" in page.words
    assert "Queues: operations." in page.words
    assert f'href="/console/operations/{mine}">{mine} / give-1</a>' in page.html
    assert "process 4711, 3 of 10" in page.words
    assert '<progress value="3" max="10"' in page.html


def test_of_others_operations_a_user_is_told_only_how_many_run(
    served: Served, database: Database, ada: Visitor, bob: Visitor
) -> None:
    theirs, mine = [run(served, ada), run(served, ada)], run(served, bob)
    hand_over(database, enter(database, "alpha"))

    for_bob, for_ada = look(bob), look(ada)

    assert re.findall(r'href="/console/operations/(\d+)"', for_bob.html) == [str(mine)]
    assert "and 2 steps of other users" in for_bob.words
    assert sorted(re.findall(r'href="/console/operations/(\d+)"', for_ada.html)) == sorted(map(str, [*theirs, mine]))


def test_of_many_steps_and_workers_the_first_are_shown_and_the_others_counted(
    served: Served, database: Database, ada: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "WORKERS", 2)
    monkeypatch.setattr(pages, "STEPS_OF_A_WORKER", 1)
    for _ in range(3):
        run(served, ada)
        last = enter(database, "alpha")
    hand_over(database, last)

    page = look(ada)

    assert page.html.count('id="worker-') == 2
    assert "and 1 more workers" in page.words
    assert page.html.count('id="step-') == 1
    assert "and 2 more" in page.words


def test_silent_lost_and_stopped_workers_are_told_from_those_that_live(database: Database, ada: Visitor) -> None:
    now = clock.now()
    enter(database, "quiet", seen_at=now - 999)
    enter(database, "gone", lost_at=now - 60)
    enter(database, "done", stopped_at=now - 60)
    enter(database, "forgotten", stopped_at=now - 9 * 86_400)
    enter(database, "old", queues=None)

    words = look(ada).words

    assert "quiet , process 100 silent" in words
    assert "lost gone, process 101" in words
    assert "stopped done, process 102" in words
    assert "forgotten" not in words
    assert "Queues: unknown." in words


def test_without_a_worker_the_page_says_so(ada: Visitor) -> None:
    assert "There are no workers: nothing runs until one is started." in look(ada).words


def test_what_waits_and_what_is_overdue_longest_is_told(
    served: Served, database: Database, ada: Visitor, bob: Visitor
) -> None:
    first = start(served, "ada")
    start(served, "ada")

    with clock.frozen_at(clock.now() + 3600):
        for_ada, for_bob = look(ada), look(bob)

    assert "Waiting steps 2 Overdue 2" in for_ada.words
    assert f"{first} / give-1 has been overdue longest" in for_ada.words
    assert "One step has been overdue longest" in for_bob.words
    assert f"/console/operations/{first}" not in for_bob.html


def test_queues_are_shown_with_what_waits_at_the_broker_and_who_takes_it(
    served: Served, database: Database, ada: Visitor
) -> None:
    start(served, "ada")
    enter(database, "alpha", queues='["operations", "elsewhere"]')

    page = look(ada)

    row = r'<th scope="row">(\w+)</th><td class="number">([^<]+)</td><td class="number">(\w+)<'
    # Steps of other tests in this process may name queues of their own.
    assert {("elsewhere", "unknown", "1"), ("operations", "1", "1")} <= set(re.findall(row, page.html))


@pytest.fixture
def silent_broker() -> Iterator[str]:
    """The URL of something that lets one connect, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def test_while_the_broker_is_silent_everything_else_is_told(served: Served, ada: Visitor, silent_broker: str) -> None:
    served.celery.conf.update(broker_write_url=silent_broker)

    assert "The broker does not answer" in look(ada).words


def test_the_broker_is_asked_once_for_all_who_ask_while_its_answer_is_fresh(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_QUEUES_FRESH_FOR", 3600.0)
    backlog = Backlog(served.commands.engine)
    start(served, "ada")

    first = backlog.by_queue()
    served.queue.flushdb()
    again = backlog.by_queue()

    assert first == again
    assert again["operations"] == 1


def test_what_ended_in_the_last_hour_is_drawn_and_told_as_a_table(served: Served, ada: Visitor) -> None:
    now, tallies = clock.now() // 60 * 60 + 1, served.commands.engine.metrics
    for minutes_ago, steps in ((90, 7), (30, 4), (0, 1)):
        with clock.frozen_at(now - 60 * minutes_ago):
            for _ in range(steps):
                tallies.observe(STEP_SECONDS, 0.1, "task")
            tallies.count(FINISHED, "COMPLETED three")
            tallies.flush()

    with clock.frozen_at(now):
        page = look(ada)

    assert "Steps finished : 5, peak 4 per minute" in page.words
    assert "Operations finished : 2, peak 1 per minute" in page.words
    assert page.html.count("<rect ") == 4
    assert re.findall(r'<td class="number">(\d+)</td><td class="number">(\d+)</td></tr><tr>|$', page.html)[0] == (
        "1",
        "1",
    )
    assert 'aria-label="Steps finished in each minute of the last hour: 5 in total, peak 4 at ' in page.html


def test_the_bars_of_a_chart_stand_in_their_minutes_and_none_is_too_low_to_be_seen() -> None:
    drawn = chart([0, 1, 0, 1000], 100)

    assert [(bar.minute, bar.ended, bar.x) for bar in drawn.bars] == [(6060.0, 1, 25.0), (6180.0, 1000, 75.0)]
    assert [bar.height for bar in drawn.bars] == [2.0, HEIGHT]
    assert all(bar.y + bar.height == HEIGHT for bar in drawn.bars)
    assert (drawn.total, drawn.highest) == (1001, drawn.bars[1])
    assert chart([0] * 60, 100) == ([], 0, None)


def test_hostile_names_are_shown_as_text(served: Served, database: Database, ada: Visitor) -> None:
    run(served, ada)
    hand_over(database, enter(database, SCRIPT, queues=f'["{SCRIPT}"]'), slug=SCRIPT)
    enter(database, SCRIPT, lost_at=clock.now())

    page = look(ada)

    assert SCRIPT not in page.html
    assert page.words.count(SCRIPT) == 5


def test_whoever_watches_sees_what_workers_take_and_that_they_go(
    served: Served, database: Database, ada: Visitor
) -> None:
    seen: list[str] = []
    watching = ada.client.get("/console/workers/stream", headers={"Accept": "text/event-stream"})

    def until(words: str) -> None:
        told = (str(part, "utf-8") if isinstance(part, bytes) else part for part in watching.response)
        seen.append(next(text for text in told if words in text))

    until("There are no workers")
    worker = enter(database, "alpha")
    until("Idle.")
    number = run(served, ada)
    hand_over(database, worker)
    until(f"{number} / give-1")
    with database.write() as tx:
        stop_worker(tx, worker, clock.now())
    until("Stopped or lost in the last day")

    watching.close()
    assert all(message.startswith("id: ") for message in seen)


def test_a_session_that_is_over_says_so(ada: Visitor) -> None:
    look(ada)

    ada.client.delete_cookie("operations-console", path="/console")

    assert ada.get("/console/workers", **{"HX-Request": "true"}).status == 401
