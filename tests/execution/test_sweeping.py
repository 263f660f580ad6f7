"""The sweep of a worker: what nobody else brings on, it does, and its heart beats."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pausable.clock import frozen_at
from pausable.db.workers import last_seen
from pausable.engine.engine import WakeUp
from pausable.model.states import Completion
from pausable.worker.heartbeat import Heartbeat
from pausable.worker.sweeper import Sweeper, sweep
from tests.execution.service import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]


def beats(service: Service) -> list[tuple[int, float | None]]:
    with service.engine.database.read() as tx:
        rows = tx.exec_driver_sql("SELECT heartbeat, stopped_at FROM workers").all()
    return [(row[0], row[1]) for row in rows]


def test_a_sweep_ends_a_cancel_that_nobody_ended(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("adding", numbers=[1, 2])
    service.change("UPDATE operations SET completion = 'REQUESTING CANCEL'")

    sweep(service.engine)

    assert service.completion(operation) is Completion.CANCELLED


def test_a_sweep_ends_a_pause_that_nobody_ended(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("adding", numbers=[1, 2])
    service.change("UPDATE operations SET completion = 'REQUESTING PAUSE'")

    sweep(service.engine)

    assert service.completion(operation) is Completion.PAUSED


def test_a_sweep_publishes_nothing_of_an_operation_that_does_not_go_on(by_hand: ByHand) -> None:
    service = by_hand()
    service.start("adding", numbers=[1, 2])
    service.queue.flushdb()
    service.change("UPDATE operations SET completion = 'CANCELLED'")

    with frozen_at(time.time() + 1000):
        sweep(service.engine)

    assert service.messages() == 0


def test_a_worker_beats_its_heart_and_notes_its_end(by_hand: ByHand) -> None:
    service = by_hand()
    service.engine.become_worker(WakeUp())
    service.engine.register()
    heartbeat, sweeper = Heartbeat(service.engine), Sweeper(service.engine)

    heartbeat.start()
    sweeper.start()
    wait_for(lambda: beats(service) == [(1, None)])
    heartbeat.stop()
    sweeper.stop()

    assert beats(service)[0][1] is not None
    with service.engine.database.read() as tx:
        assert last_seen(tx) is None


def test_a_sweep_that_fails_does_not_end_the_sweeper(by_hand: ByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    service = by_hand(lease=1)
    operation = service.start("adding", numbers=[1, 2])
    service.change("UPDATE operations SET completion = 'REQUESTING PAUSE'")
    faults = [OSError("the database is gone")]

    def failing_once(_engine: object, after: int) -> int:
        if faults:
            raise faults.pop()
        return sweep(service.engine, after)

    monkeypatch.setattr("pausable.worker.sweeper.sweep", failing_once)
    sweeper = Sweeper(service.engine)
    sweeper.start()
    service.wait_until(operation, Completion.PAUSED)

    sweeper.stop()


def test_a_worker_is_known_by_its_process_and_its_end(service: Service) -> None:
    service.run("adding", numbers=[1])

    with service.engine.database.read() as tx:
        host, boot_id, pid, started, stopped = tx.exec_driver_sql(
            "SELECT host, boot_id, pid, start_time, stopped_at FROM workers"
        ).one()

    assert host
    assert boot_id
    assert pid > 0
    assert started > 0
    assert stopped is None
