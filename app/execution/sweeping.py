"""The sweep: a thread of each worker that publishes and starts what is due, and sees to the end of what waits."""

from __future__ import annotations

import logging
import random
import threading
from functools import partial
from typing import TYPE_CHECKING, Final

from app import clock
from app.execution.bell import Bell
from app.execution.bulks import work_off
from app.execution.draining import drain_aside
from app.execution.due import start_and_resume
from app.execution.errands import run_aside
from app.execution.republishing import publish_due, publish_lost
from app.store.bulks import next_due_bulk
from app.store.claims import all_drainable
from app.store.due import next_due
from app.store.operations import next_due_operation
from app.store.workers import stop_worker

if TYPE_CHECKING:
    from app.execution.engine import Engine

#: Seconds between two sweeps at the least.
_SHORTEST: Final = 0.01
#: A sweep begins nothing more that takes its time once so large a part of the lease is over.
_SHARE: Final = 4
#: Operations that one sweep drains at the most.
_AT_ONCE: Final = 100

_log = logging.getLogger(__name__)


class Sweeper:
    """Sweeps until it is stopped; one for each worker, in its main process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._bell = engine.incarnation.bell or Bell()
        self._is_stopped = False
        self._drained_to = 0
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin to sweep."""
        self._thread.start()

    def stop(self) -> None:
        """End the sweep and note that the worker has ended."""
        self._is_stopped = True
        self._bell.ring()
        self._thread.join()
        worker_id = self._engine.incarnation.worker_id
        if worker_id is not None:
            with self._engine.database.write() as tx:
                stop_worker(tx, worker_id, clock.now())

    def _run(self) -> None:
        while not self._is_stopped:
            try:
                self._drained_to = sweep(self._engine, self._drained_to)
                pause = self._until_next()
            except Exception:  # the database is locked or gone: the next sweep may find it again
                _log.exception("a sweep failed")
                pause = self._engine.period()
            self._bell.wait(pause)
            if self._engine.incarnation.courier:  # whoever rings may have put something into the outbox, too
                self._engine.incarnation.courier.wake()
        self._engine.database.close()

    def _until_next(self) -> float:
        with self._engine.database.glance() as tx:
            due = min(filter(None, (next_due(tx), next_due_operation(tx), next_due_bulk(tx))), default=None)
        latest = self._engine.period() * random.uniform(0.8, 1.2)  # noqa: S311
        return latest if due is None else max(_SHORTEST, min(latest, due - clock.now()))


def sweep(engine: Engine, after: int = 0) -> int:
    """Start and resume what is due, publish every step that is or whose message is lost, drain what waits for it.

    Args:
        engine: The engine of this worker.
        after: The id behind which the drains begin: what the last sweep returned.

    Returns:
        The id behind which the next sweep goes on, 0 for the first one: a sweep that took its time ends early.
    """
    until = clock.monotonic() + engine.lease / _SHARE
    start_and_resume(engine, until)
    publish_due(engine)
    publish_lost(engine)
    after = _drain(engine, after, until)
    run_aside(engine, "bulks", "what was asked of many operations", partial(work_off, engine))
    return after


def _drain(engine: Engine, after: int, until: float) -> int:
    """Drain what can be drained, one at least; returns the id behind which to go on."""
    with engine.database.glance() as tx:
        waiting = all_drainable(tx, after, _AT_ONCE)
    for operation_id in waiting:
        drain_aside(engine, operation_id)
        if clock.monotonic() >= until:
            return operation_id
    return waiting[-1] if len(waiting) == _AT_ONCE else 0
