"""`drain`: ends REQUESTING PAUSE and REQUESTING CANCEL as soon as nothing of the operation runs.

The pause is written in three moves: read, under no lock; write workflow.json, under no lock; and one guarded update.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from celery import signature

from pausable import clock
from pausable.canvas.task import is_author_error
from pausable.canvas.values import compact, decode, restored
from pausable.db import transitions as store
from pausable.db.claims import drainable, is_any_unconfirmed
from pausable.db.history import append_event, last_asked
from pausable.db.operations import Operation, find_operation, lock_operation, save
from pausable.db.steps import is_anything_running, keep_code
from pausable.documents.model import carried_value, remaining
from pausable.engine.announce import Announcer
from pausable.engine.checkpoints import load
from pausable.engine.documents import Snapshot, code_here, snapshot_of
from pausable.engine.errands import doing, run_aside
from pausable.engine.finish import cancelled
from pausable.engine.metrics import PAUSE_SECONDS
from pausable.engine.outcome import words_of
from pausable.errors import DocumentMalformed
from pausable.model.explanation import NOT_YET
from pausable.model.graph import numbers_in
from pausable.model.identity import CALLBACK_TASK
from pausable.model.states import FINAL, Completion, StepState
from pausable.processes import ending_children
from pausable.texts import REASON, cut

if TYPE_CHECKING:
    from pausable.db.database import Connection
    from pausable.engine.engine import Engine

_log = logging.getLogger(__name__)


def drain(engine: Engine, operation_id: int) -> None:
    """End the pause or cancel that is requested, unless something of the operation runs; safe to call at any time."""
    with engine.database.glance() as tx:
        requested = drainable(tx, operation_id)  # nearly always None: the steps need not be read for that
    if requested is Completion.REQUESTING_CANCEL:
        _finish_cancel(engine, operation_id)
    elif requested is Completion.REQUESTING_PAUSE:
        snapshot = _drainable_snapshot(engine, operation_id)
        if snapshot and snapshot.operation.completion is Completion.REQUESTING_PAUSE:
            _finish_pause(engine, snapshot)


def _drainable_snapshot(engine: Engine, operation_id: int) -> Snapshot | None:
    """Return the operation if it can be paused now; one that cannot be read is told why."""
    with engine.database.read() as tx:
        # What begins to run between the two looks is found here, or by the update that sets PAUSED.
        operation = find_operation(tx, operation_id) if drainable(tx, operation_id) else None
        try:
            return snapshot_of(tx, operation_id) if operation else None
        except DocumentMalformed as why:
            fault = why
    if operation:
        _note(engine, operation, fault)
    return None


def drain_aside(engine: Engine, operation_id: int) -> None:
    """Drain as an errand in a worker's main process, whose threads wait for no author's callback; else here and now."""
    what = f"the end of what is asked of operation {operation_id}"
    on_late = partial(_note_late, engine, operation_id)
    run_aside(engine.incarnation.errands, operation_id, what, partial(drain, engine, operation_id), on_late)


def _note_late(engine: Engine, operation_id: int, sentence: str) -> None:
    with engine.database.glance() as tx:
        operation = find_operation(tx, operation_id)
    if operation and operation.completion is Completion.REQUESTING_PAUSE:
        _tell(engine, operation, sentence)


def _finish_cancel(engine: Engine, operation_id: int) -> None:
    with engine.database.write() as tx:
        operation = lock_operation(tx, operation_id)
        if (
            operation
            and operation.completion is Completion.REQUESTING_CANCEL
            and not is_anything_running(tx, operation_id)
        ):
            finish_cancel(tx, operation, engine)


def finish_cancel(tx: Connection, operation: Operation, engine: Engine) -> Operation:
    """Cancel all that has not ended of an operation of which nothing runs."""
    now = clock.now()
    after = cancelled(tx, operation, now)
    save(tx, operation, after)
    append_event(tx, operation.id, at=now, who="worker", old=operation.completion, new=after.completion)
    Announcer(tx, engine, now).rest(operation, after)
    engine.metrics.count_finished(after)
    return after


def _finish_pause(engine: Engine, snapshot: Snapshot) -> None:
    operation = snapshot.operation
    carried = compact(carried_value(snapshot.steps))
    rest = remaining(operation.id, snapshot.steps)
    doing(f"the writing of workflow.json of operation {operation.id}")
    try:
        stored = engine.app.tasks[CALLBACK_TASK].s(operation.id)(decode(carried), rest)
        for callback in _own_callbacks(snapshot):
            doing(f"the callback {callback.get('task')} at a pause point of operation {operation.id}")
            retval = _loaded(snapshot)
            with ending_children():
                signature(restored(callback), app=engine.app)(retval, rest)
    except BaseException as why:  # a full disk, or an author's callback: the pause is tried again by the next sweep
        if not is_author_error(why):
            raise
        _log.exception("operation %s cannot pause yet", operation.id)
        _note(engine, operation, why)
        return
    _write_paused(engine, snapshot, stored, carried)


def _loaded(snapshot: Snapshot) -> Any:
    """The carried value itself, where only a reference to it is in the table."""
    needed = {number for step in snapshot.steps if step.state not in FINAL for number in numbers_in(step.inputs)}
    return carried_value(
        [replace(one, result=load(compact(one.result))) if one.number in needed else one for one in snapshot.steps]
    )


def _own_callbacks(snapshot: Snapshot) -> list[dict[str, Any]]:
    held = [step.point for step in snapshot.steps if step.state in (StepState.PAUSED, StepState.QUEUED) and step.point]
    return list({point.number: point.callback for point in held if point.callback}.values())


def _write_paused(engine: Engine, snapshot: Snapshot, stored: dict[str, str], result: str) -> None:
    """Set PAUSED if nothing has happened since the snapshot; else somebody else has drained, or will."""
    operation, code, now = snapshot.operation, code_here(engine, snapshot), clock.now()
    with engine.database.write() as tx:
        present = lock_operation(tx, operation.id)
        if present != operation or is_anything_running(tx, operation.id) or is_any_unconfirmed(tx, operation.id):
            return
        store.hold_queued(tx, operation.id)
        store.park(tx, operation.id)
        after = replace(
            operation,
            completion=Completion.PAUSED,
            result=result,
            reason=_asked_for(operation),
            workflow_store=stored["workflow_store"],
            workflow_digest=stored["workflow_digest"],
        )
        save(tx, operation, after)
        keep_code(tx, operation.id, code)
        append_event(
            tx, operation.id, at=now, who="worker", old=operation.completion, new=after.completion, why=after.reason
        )
        is_news = Announcer(tx, engine, now).rest(operation, after)
        requested = last_asked(tx, operation.id, Completion.REQUESTING_PAUSE)
    if is_news:
        engine.wake_sweeper()
    engine.metrics.observe(PAUSE_SECONDS, now - (requested or now))


def _note(engine: Engine, operation: Operation, why: BaseException) -> None:
    """Tell people what keeps the pause from taking effect; no path is in it, or each version would tell another."""
    strerror = why.strerror if isinstance(why, OSError) else None
    _tell(
        engine,
        operation,
        f"workflow.json could not be written ({strerror})" if strerror else cut(words_of(why), REASON),
    )


def _tell(engine: Engine, operation: Operation, fault: str) -> None:
    reason = "; ".join(part for part in (_asked_for(operation), f"{NOT_YET}{fault}") if part)
    with engine.database.write() as tx:
        if lock_operation(tx, operation.id) == operation and operation.reason != reason:
            save(tx, operation, replace(operation, reason=reason))


def _asked_for(operation: Operation) -> str | None:
    """Why the pause was asked for, without what kept it from taking effect."""
    return (operation.reason or "").partition(NOT_YET)[0].removesuffix("; ") or None
