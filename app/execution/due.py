"""What the service itself does to operations once its time has come: starting those of SCHEDULED, resuming paused ones.

Any worker's sweep does it; of two that do it at once, the operation's lock lets one.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Final

from app import clock
from app.domain.states import Completion
from app.errors import MoveRefused, OperationNotFound, VersionPassed
from app.execution.errands import run_aside
from app.execution.steering import Wish, due_at_once, resume
from app.execution.timing import earliest
from app.secrets import redacted
from app.store import steps as store
from app.store.errors import is_outage
from app.store.events import append_event
from app.store.operations import due_operations, find_operation, lock_operation, save
from app.store.step_queries import queued_steps
from app.texts import REASON, cut, storable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from app.execution.engine import Engine
    from app.store.operations import Operation

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
            run_aside(engine, operation.id, what, partial(_resume, engine, operation))
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
