"""The sweep: a thread of each worker that publishes and starts what is due, and sees to what was left undone."""

from __future__ import annotations

import logging
import random
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Final

from pausable import clock
from pausable.db import transitions as store
from pausable.db.bulks import next_due_bulk
from pausable.db.claims import all_drainable, next_due
from pausable.db.database import is_outage
from pausable.db.history import append_event
from pausable.db.operations import due_operations, find_operation, lock_operation, next_due_operation, save
from pausable.db.steps import queued_steps
from pausable.db.workers import stop_worker
from pausable.engine.dispatch import publish_due, publish_lost
from pausable.engine.drain import drain_aside
from pausable.engine.engine import WakeUp
from pausable.engine.errands import run_aside
from pausable.engine.publish import earliest
from pausable.errors import MoveRefused, OperationNotFound, VersionPassed
from pausable.model.states import Completion
from pausable.secrets import redacted
from pausable.service.bulks import work_off
from pausable.service.operations import Wish, due_at_once, resume
from pausable.texts import REASON, cut, storable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pausable.db.database import Connection
    from pausable.db.operations import Operation
    from pausable.engine.engine import Engine

#: Who does it, in the history.
SERVICE: Final = "service"
#: Operations that one sweep starts or resumes at the most.
_AT_ONCE: Final = 100
#: Seconds after which a resume that was refused is tried again.
_AGAIN: Final = 60.0

_log: Final = logging.getLogger(__name__)


def start_and_resume(engine: Engine, until: float = inf) -> None:
    """Start and resume every operation whose time has come; begin with no further one `until` that monotonic time."""
    with engine.database.glance() as tx:
        due = due_operations(tx, clock.now(), _AT_ONCE)
        found = [operation for one in due if (operation := find_operation(tx, one))]
    for operation in found:
        if operation.completion is Completion.SCHEDULED:
            with _or_later(engine, operation, "started"):
                _start(engine, operation.id)
        else:
            what = f"the resuming of operation {operation.id}"
            run_aside(engine.incarnation.errands, operation.id, what, partial(_resume, engine, operation))
        if clock.monotonic() >= until:
            return


def _start(engine: Engine, operation_id: int) -> None:
    now = clock.now()
    with engine.database.write() as tx:
        operation = lock_operation(tx, operation_id)
        if operation is None or not _is_due(operation, now) or operation.completion is not Completion.SCHEDULED:
            return
        save(tx, operation, replace(operation, due_at=None))
        store.release_first(tx, operation_id, now + engine.republish_after)
        queued = queued_steps(tx, operation_id)
        ready = due_at_once(tx, operation_id, queued)
    engine.publisher.publish(operation_id, ready)
    engine.expect(earliest((step.call for step in queued), now))


def _resume(engine: Engine, operation: Operation) -> None:
    """Resume an operation unless somebody has changed it since: then that counts, and not what was due before."""
    wish = Wish(operation.id, SERVICE, "its time to go on has come", operation.version)
    with _or_later(engine, operation, "resumed"), suppress(MoveRefused, OperationNotFound, VersionPassed):
        resume(engine, wish)


@contextmanager
def _or_later(engine: Engine, operation: Operation, done: str) -> Iterator[None]:
    """Put off what is refused inside the block: whatever is wrong with one must not keep the others waiting."""
    try:
        yield
    except Exception as refused:
        if is_outage(refused):
            raise
        _log.warning("operation %s is not %s: %s", operation.id, done, refused)
        with engine.database.write() as tx:
            _try_later(tx, operation, f"it could not be {done} at its time: {refused}")


def _try_later(tx: Connection, operation: Operation, why: str) -> None:
    """Tell what is wrong, once, and try again in a while: whoever mends it need not think of the operation."""
    present = lock_operation(tx, operation.id)
    if present != operation:
        return
    reason = cut(storable(redacted(why)), REASON)
    save(tx, present, replace(present, due_at=clock.now() + _AGAIN, reason=reason))
    if present.reason != reason:
        stands = present.completion
        append_event(tx, present.id, at=clock.now(), who=SERVICE, old=stands, new=stands, why=reason)


def _is_due(operation: Operation, now: float) -> bool:
    return operation.due_at is not None and operation.due_at <= now


#: Seconds between two sweeps at the least.
_SHORTEST: Final = 0.01
#: A sweep begins nothing more that takes its time once so large a part of the lease is over.
_SHARE: Final = 4
#: Operations that one sweep drains at the most.


class Sweeper:
    """Sweeps until it is stopped; one for each worker, in its main process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._bell = engine.incarnation.bell or WakeUp()
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
    run_aside(engine.incarnation.errands, "bulks", "what was asked of many operations", partial(work_off, engine))
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
