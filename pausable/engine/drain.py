"""`drain`: ends REQUESTING PAUSE and REQUESTING CANCEL as soon as nothing of the operation runs.

A pause takes three moves, and each row is read once: read a snapshot, under no lock; write workflow.json from it, under
no lock; set PAUSED under the lock, if the operation still stands as the snapshot says.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from celery import signature

from pausable.canvas.task import is_author_error
from pausable.canvas.values import compact, restored
from pausable.db import transitions as store
from pausable.db.claims import drainable
from pausable.db.operations import Operation, find_operation
from pausable.db.steps import is_anything_running, keep_code
from pausable.documents.model import carried_value, remaining
from pausable.engine.change import changing
from pausable.engine.checkpoints import load
from pausable.engine.documents import Snapshot, code_here, snapshot_from, write_document
from pausable.engine.errands import doing, run_aside
from pausable.engine.finish import cancelled
from pausable.engine.metrics import PAUSE_SECONDS
from pausable.engine.outcome import words_of
from pausable.errors import DocumentMalformed, OperationNotFound, VersionPassed
from pausable.model.explanation import NOT_YET
from pausable.model.graph import numbers_in
from pausable.model.states import FINAL, Completion, StepState
from pausable.processes import ending_children
from pausable.texts import REASON, cut

if TYPE_CHECKING:
    from pausable.engine.change import Change
    from pausable.engine.engine import Engine

_log = logging.getLogger(__name__)


def drain(engine: Engine, operation_id: int) -> Operation | None:
    """End the pause or cancel that is requested, unless something of the operation runs; safe to call at any time.

    Returns:
        The operation as this has written it; None where it has written nothing.
    """
    with engine.database.glance() as tx:
        operation = drainable(tx, operation_id)  # nearly always None: the steps need not be read for that
    if operation is None:
        return None
    if operation.completion is Completion.REQUESTING_CANCEL:
        return _finish_cancel(engine, operation_id)
    try:
        with engine.database.read() as tx:
            # What has changed since the operation was read is found by the update that sets PAUSED.
            snapshot = snapshot_from(tx, operation)
    except DocumentMalformed as why:
        return _note(engine, operation, why)
    return _finish_pause(engine, snapshot)


def drain_aside(engine: Engine, operation_id: int) -> Operation | None:
    """Drain as an errand in a worker's main process, whose threads wait for no author's callback; else here and now.

    Returns:
        What `drain` returns; None where it is an errand.
    """
    what = f"the end of what is asked of operation {operation_id}"
    on_late = partial(_note_late, engine, operation_id)
    written: list[Operation | None] = []

    def act() -> None:
        written.append(drain(engine, operation_id))

    run_aside(engine.incarnation.errands, operation_id, what, act, on_late)
    return written[0] if written else None


def _note_late(engine: Engine, operation_id: int, sentence: str) -> None:
    with engine.database.glance() as tx:
        operation = find_operation(tx, operation_id)
    if operation and operation.completion is Completion.REQUESTING_PAUSE:
        _tell(engine, operation, sentence)


def _finish_cancel(engine: Engine, operation_id: int) -> Operation | None:
    with suppress(OperationNotFound), changing(engine, operation_id) as op:
        if op.operation.completion is Completion.REQUESTING_CANCEL and not is_anything_running(op.tx, operation_id):
            return finish_cancel(op)
    return None


def finish_cancel(op: Change) -> Operation:
    """Cancel all that has not ended of an operation of which nothing runs; return the row that was written."""
    after = op.move(cancelled(op.tx, op.operation, op.now), who="worker", is_news=True)
    op.then(lambda: op.engine.metrics.count_finished(after))
    return after


def _finish_pause(engine: Engine, snapshot: Snapshot) -> Operation | None:
    """Write the document and call the callbacks of the author's own pause points, then set PAUSED."""
    operation = snapshot.operation
    carried = compact(carried_value(snapshot.steps))
    callbacks = _own_callbacks(snapshot)
    rest = remaining(operation.id, snapshot.steps) if callbacks else []
    doing(f"the writing of workflow.json of operation {operation.id}")
    try:
        snapshot = replace(snapshot, code=code_here(engine, snapshot))
        stored = write_document(engine, snapshot)
        for callback in callbacks:
            doing(f"the callback {callback.get('task')} at a pause point of operation {operation.id}")
            retval = _loaded(snapshot)
            with ending_children():
                signature(restored(callback), app=engine.app)(retval, rest)
    except BaseException as why:  # a full disk, or an author's callback: the pause is tried again by the next sweep
        if not is_author_error(why):
            raise
        _log.exception("operation %s cannot pause yet", operation.id)
        return _note(engine, operation, why)
    return _write_paused(engine, snapshot, stored, carried)


def _loaded(snapshot: Snapshot) -> Any:
    """The carried value itself, where only a reference to it is in the table."""
    needed = {number for step in snapshot.steps if step.state not in FINAL for number in numbers_in(step.inputs)}
    return carried_value(
        [replace(one, result=load(compact(one.result))) if one.number in needed else one for one in snapshot.steps]
    )


def _own_callbacks(snapshot: Snapshot) -> list[dict[str, Any]]:
    held = [step.point for step in snapshot.steps if step.state in (StepState.PAUSED, StepState.QUEUED) and step.point]
    return list({point.number: point.callback for point in held if point.callback}.values())


def _write_paused(engine: Engine, snapshot: Snapshot, stored: dict[str, str], result: str) -> Operation | None:
    """Set PAUSED if nothing has happened since the snapshot; else somebody else has drained, or will."""
    operation = snapshot.operation
    after = replace(
        operation,
        completion=Completion.PAUSED,
        result=result,
        reason=_asked_for(operation),
        workflow_store=stored["workflow_store"],
        workflow_digest=stored["workflow_digest"],
    )
    with suppress(OperationNotFound, VersionPassed), changing(engine, operation.id) as op:
        if op.operation != operation:
            return None
        # A statement of its own has locked the row: on PostgreSQL, this one sees what was committed before that.
        written = op.move(after, who="worker", why=after.reason, is_news=True, is_quiet=True)
        store.rest(op.tx, operation.id)
        keep_code(op.tx, operation.id, snapshot.code)
        op.then(lambda: engine.metrics.observe(PAUSE_SECONDS, op.now - (snapshot.paused_at or op.now)))
        return written
    return None


def _note(engine: Engine, operation: Operation, why: BaseException) -> Operation | None:
    """Tell people what keeps the pause from taking effect; no path is in it, or each version would tell another."""
    strerror = why.strerror if isinstance(why, OSError) else None
    fault = f"workflow.json could not be written ({strerror})" if strerror else cut(words_of(why), REASON)
    return _tell(engine, operation, fault)


def _tell(engine: Engine, operation: Operation, fault: str) -> Operation | None:
    reason = "; ".join(part for part in (_asked_for(operation), f"{NOT_YET}{fault}") if part)
    with suppress(OperationNotFound), changing(engine, operation.id) as op:
        if op.operation == operation and operation.reason != reason:
            return op.save(replace(operation, reason=reason))
    return None


def _asked_for(operation: Operation) -> str | None:
    """Why the pause was asked for, without what kept it from taking effect."""
    return (operation.reason or "").partition(NOT_YET)[0].removesuffix("; ") or None
