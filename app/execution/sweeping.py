"""The sweep: a thread of each worker that publishes what is due, ends what waits for `drain`, and beats the heart."""

from __future__ import annotations

import logging
import random
import threading
from typing import TYPE_CHECKING, Final

from app import clock
from app.domain.states import CLAIMABLE
from app.execution.draining import drain
from app.execution.engine import REPUBLISH_AFTER
from app.store.operations import lock_operation, requesting
from app.store.step_queries import Due, due_steps, next_due
from app.store.steps import publish_again
from app.store.workers import beat, stop_worker

if TYPE_CHECKING:
    from app.execution.engine import Engine

#: Seconds between two sweeps when nothing is due earlier, and between two beats of the heart.
_PERIOD: Final = 2.0
#: Seconds between two sweeps at the least.
_SHORTEST: Final = 0.05
#: Due steps that one sweep publishes at the most.
_AT_ONCE: Final = 500

_log = logging.getLogger(__name__)


class Sweeper:
    """Sweeps until it is stopped; one for each worker, in its main process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)
        self._next_beat = 0.0

    def start(self) -> None:
        """Begin to sweep."""
        self._thread.start()

    def stop(self) -> None:
        """End the sweep and note that the worker has ended."""
        self._stopped.set()
        self._thread.join()
        worker_id = self._engine.incarnation.worker_id
        if worker_id is not None:
            with self._engine.database.write() as tx:
                stop_worker(tx, worker_id, clock.now())

    def _run(self) -> None:
        pause = 0.0
        while not self._stopped.wait(pause):
            try:
                self._beat()
                sweep(self._engine)
                pause = self._until_next()
            except Exception:  # the database is locked or gone: the next sweep may find it again
                _log.exception("a sweep failed")
                pause = _PERIOD

    def _beat(self) -> None:
        if clock.monotonic() < self._next_beat or self._engine.incarnation.worker_id is None:
            return
        self._next_beat = clock.monotonic() + _PERIOD
        with self._engine.database.write() as tx:
            beat(tx, self._engine.incarnation.worker_id, clock.now())

    def _until_next(self) -> float:
        with self._engine.database.glance() as tx:
            due = next_due(tx)
        latest = _PERIOD * random.uniform(0.8, 1.2)  # noqa: S311
        return latest if due is None else max(_SHORTEST, min(latest, due - clock.now()))


def sweep(engine: Engine) -> None:
    """Publish every step that is due, and drain every operation that waits for it."""
    with engine.database.glance() as tx:
        due = due_steps(tx, clock.now(), _AT_ONCE)
    for one in due:
        _publish(engine, one)
    with engine.database.glance() as tx:
        waiting = requesting(tx)
    for operation_id in waiting:
        drain(engine, operation_id)


def _publish(engine: Engine, due: Due) -> None:
    now = clock.now()
    with engine.database.write() as tx:
        operation = lock_operation(tx, due.operation_id)
        if operation is None or operation.completion not in CLAIMABLE:
            return
        again = now + REPUBLISH_AFTER * 2.0 ** min(due.publishes, 10)
        step = publish_again(tx, due.operation_id, due.number, due.publishes, now=now, due_at=again)
    if step:
        engine.publisher.publish(due.operation_id, [step])
