"""`flask workers list`: every state that a worker can be in, and what it runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, text

from pausable.db.tables import workers
from tests.web.serving import wait_for

if TYPE_CHECKING:
    from tests.cli.terminal import Terminal


@pytest.fixture
def several(terminal: Terminal) -> Terminal:
    """1 stopped, 2 is lost, 3 silent, 4 alive; all on the host alpha."""
    now = time.time()
    ends = {1: (now, None), 2: (None, now), 3: (None, None), 4: (None, None)}
    with terminal.served.commands.engine.database.write() as tx:
        for key, (stopped, lost) in ends.items():
            process = {"id": key, "host": "alpha", "boot_id": "b", "pid": 4000 + key, "start_time": 0}
            seen = {"heartbeat": 1, "seen_at": now - (3600 if key == 3 else 0), "started_at": now}
            tx.execute(insert(workers), process | seen | {"stopped_at": stopped, "lost_at": lost})
    return terminal


def listed(terminal: Terminal, *words: str) -> list[list[str]]:
    return [line.split() for line in terminal.says("workers", "list", *words).splitlines()]


def test_each_worker_is_listed_with_its_state_the_youngest_first(several: Terminal) -> None:
    header, *rows = listed(several)

    assert header == ["id", "host", "pid", "since", "last", "seen", "state", "queues", "runs"]
    assert [(row[0], row[1], row[2], row[7]) for row in rows] == [
        ("4", "alpha", "4004", "alive"),
        ("3", "alpha", "4003", "silent"),
        ("2", "alpha", "4002", "lost"),
        ("1", "alpha", "4001", "stopped"),
    ]


def test_so_many_are_listed_as_are_asked_for(several: Terminal) -> None:
    assert [row[0] for row in listed(several, "--limit", "2")[1:]] == ["4", "3"]


def test_what_a_worker_runs_is_named(several: Terminal) -> None:
    for _ in range(5):
        several.start("three")
    with several.served.commands.engine.database.write() as tx:
        tx.execute(text("UPDATE steps SET state = 'Running', worker_id = 4, claim = 1 WHERE number = 0"))

    assert listed(several)[1][8:] == ["1/give-1,", "2/give-1,", "3/give-1", "and", "2", "more"]


def test_a_real_worker_is_alive_and_then_stopped(terminal: Terminal) -> None:
    with terminal.served.working():
        started = terminal.start("three")
        wait_for(lambda: terminal.completion(started) == "COMPLETED", terminal.served.told)
        assert listed(terminal)[1][7:] == ["alive", "operations"]

    assert listed(terminal)[1][7] == "stopped"
