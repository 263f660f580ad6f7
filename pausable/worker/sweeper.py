"""The sweeper: a thread of each worker that publishes and starts what is due, and repairs what was left unfinished."""

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
from pausable.db.operations import due_operations, find_operation, next_due_operation
from pausable.db.workers import stop_worker
from pausable.engine.change import changing
from pausable.engine.dispatch import publish_due, publish_lost
from pausable.engine.drain import drain_aside
from pausable.engine.engine import WakeUp
from pausable.engine.errands import run_aside
from pausable.errors import MoveRefused, OperationNotFound, VersionPassed
from pausable.model.states import Completion
from pausable.secrets import redacted
from pausable.service.bulks import work_off
from pausable.service.operations import Wish, go_on, resume
from pausable.texts import REASON, cut, storable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pausable.db.operations import Operation
    from pausable.engine.change import Change
    from pausable.engine.engine import Engine

#: The actor named in the history.
SERVICE: Final = "service"
#: Operations that one sweep starts, resumes or drains at most.
_BATCH: Final = 100
#: Seconds after which a refused start or resume is tried again.
_RETRY_AFTER: Final = 60.0

_log: Final = logging.getLogger(__name__)


def start_and_resume(engine: Engine, until: float = inf) -> None:
    """Start and resume every operation that is due; begin no further one after the monotonic time `until`."""
    with engine.database.glance() as tx:
        due = due_operations(tx, clock.now(), _BATCH)
        found = [operation for one in due if (operation := find_operation(tx, one))]
    for operation in found:
        if operation.completion is Completion.SCHEDULED:
            with _postponed_if_refused(engine, operation, "started"):
                _start(engine, operation.id)
        else:
            what = f"resuming operation {operation.id}"
            run_aside(engine.incarnation.errands, operation.id, what, partial(_resume, engine, operation))
        if clock.monotonic() >= until:
            return


def _start(engine: Engine, operation_id: int) -> None:
    with suppress(OperationNotFound), changing(engine, operation_id) as op:
        if _is_due(op.operation, op.now) and op.operation.completion is Completion.SCHEDULED:
            op.save(replace(op.operation, due_at=None))
            go_on(op, store.release_first(op.tx, operation_id, op.now + engine.republish_after))


def _resume(engine: Engine, operation: Operation) -> None:
    """Resume an operation unless it has been changed since: then the newer decision counts."""
    wish = Wish(operation.id, SERVICE, "its time to go on has come", operation.version)
    with _postponed_if_refused(engine, operation, "resumed"), suppress(MoveRefused, OperationNotFound, VersionPassed):
        resume(engine, wish)


@contextmanager
def _postponed_if_refused(engine: Engine, operation: Operation, done: str) -> Iterator[None]:
    """Postpone the operation if the block is refused, so that one bad operation does not delay the others."""
    try:
        yield
    except Exception as refused:
        if is_outage(refused):
            raise
        _log.warning("operation %s is not %s: %s", operation.id, done, refused)
        with suppress(OperationNotFound), changing(engine, operation.id) as op:
            if op.operation == operation:
                _postpone(op, f"it could not be {done} at its time: {refused}")


def _postpone(op: Change, why: str) -> None:
    """Record the reason once and try again later, so that a fix takes effect without another command."""
    reason = cut(storable(redacted(why)), REASON)
    after = replace(op.operation, due_at=op.now + _RETRY_AFTER, reason=reason)
    if op.operation.reason == reason:
        op.save(after)
    else:
        op.move(after, who=SERVICE, why=reason)


def _is_due(operation: Operation, now: float) -> bool:
    return operation.due_at is not None and operation.due_at <= now


#: Minimum seconds between two sweeps.
_SHORTEST: Final = 0.01
#: A sweep starts no further slow work once this fraction of the lease (1/4) has passed.
_LEASE_FRACTION: Final = 4


class Sweeper:
    """Sweeps until it is stopped; each worker has one, in its main process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._wake_up = engine.incarnation.wake_up or WakeUp()
        self._is_stopped = False
        self._drained_to = 0
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, and record that the worker has stopped."""
        self._is_stopped = True
        self._wake_up.ring()
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
            except Exception:  # the database is locked or unreachable; the next sweep tries again
                _log.exception("a sweep failed")
                pause = self._engine.period()
            self._wake_up.wait(pause)
            if self._engine.incarnation.notifier:  # the wake-up may also mean a new row in the outbox
                self._engine.incarnation.notifier.wake()
        self._engine.database.close()

    def _until_next(self) -> float:
        with self._engine.database.glance() as tx:
            due = min(filter(None, (next_due(tx), next_due_operation(tx), next_due_bulk(tx))), default=None)
        latest = self._engine.period() * random.uniform(0.8, 1.2)  # noqa: S311
        return latest if due is None else max(_SHORTEST, min(latest, due - clock.now()))


def sweep(engine: Engine, after: int = 0) -> int:
    """Start and resume what is due, publish steps that are due or whose message was lost, and drain what is waiting.

    Args:
        engine: The engine of this worker.
        after: The operation id after which draining continues: what the previous sweep returned.

    Returns:
        The operation id after which the next sweep continues, 0 to begin again; a slow sweep ends early.
    """
    until = clock.monotonic() + engine.lease / _LEASE_FRACTION
    start_and_resume(engine, until)
    publish_due(engine)
    publish_lost(engine)
    after = _drain(engine, after, until)
    run_aside(engine.incarnation.errands, "bulks", "running bulk commands", partial(work_off, engine))
    return after


def _drain(engine: Engine, after: int, until: float) -> int:
    """Drain waiting operations until `until`, at least one; return the id after which to continue."""
    with engine.database.glance() as tx:
        waiting = all_drainable(tx, after, _BATCH)
    for operation_id in waiting:
        drain_aside(engine, operation_id)
        if clock.monotonic() >= until:
            return operation_id
    return waiting[-1] if len(waiting) == _BATCH else 0
