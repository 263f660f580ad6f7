"""Pause, resume, cancel and rebuild: each one guarded transaction, and then what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypedDict

from app import clock
from app.domain.moments import utc
from app.domain.states import ENDED, REQUESTING, Completion, StepState
from app.errors import MoveRefused, OperationMoved, OperationNotFound, VersionPassed
from app.execution.documents import snapshot_of, verify_document, write_document
from app.execution.draining import drain_aside, finish_cancel
from app.execution.preflight import demand_fit
from app.execution.stopping import stop_now
from app.execution.timing import earliest, later, not_before, written
from app.store import steps as store
from app.store.claims import forget_unconfirmed, unconfirmed_steps
from app.store.events import append_event, last_asked
from app.store.operations import Operation, find_operation, lock_operation, save
from app.store.step_queries import is_anything_running, queued_steps, retrying_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sqlalchemy import Connection

    from app.execution.documents import Snapshot
    from app.execution.engine import Engine
    from app.store.steps import StepTask

_C = Completion


@dataclass(frozen=True, slots=True)
class Wish:
    """Who asks for a change of which operation, why, and at which version of it they looked."""

    operation_id: int
    who: str
    why: str | None = None
    version: int | None = None
    #: Called under the operation's lock, before it is moved; what it raises leaves the operation as it is.
    beside: Callable[[Connection], None] | None = None


class HowToPause(TypedDict, total=False):
    """How an operation is to pause: see `pause`."""

    now: bool
    accept_unconfirmed: bool
    resume_at: float | None


class HowToResume(TypedDict, total=False):
    """How an operation is to go on: see `resume`."""

    take_back: bool
    accepted: Collection[str]


def pause(
    engine: Engine, wish: Wish, *, now: bool = False, accept_unconfirmed: bool = False, resume_at: float | None = None
) -> bool:
    """Ask an operation to pause; False when that was asked before. Raises MoveRefused when it has ended or will.

    `now`: what runs of it is stopped, to run again. `accept_unconfirmed`: whoever asks answers for it that silent
    workers run nothing of it any more. `resume_at`: when the service resumes it, in seconds since the epoch; it takes
    the place of the time that an earlier pause said, also where it is None.
    """
    resume_at = None if resume_at is None else max(resume_at, clock.now())
    with engine.database.write() as tx:
        operation = locked(tx, wish)
        is_new = operation.completion not in (_C.REQUESTING_PAUSE, _C.PAUSED)
        if is_new:
            _move(tx, replace(operation, due_at=resume_at), _C.REQUESTING_PAUSE, wish, was=operation)
        is_new = is_new or _put_off(tx, operation, wish, resume_at)
        is_accepted = accept_unconfirmed and _accept(tx, wish)
    is_stopped = now and operation.completion is not _C.PAUSED and stop_now(engine, wish.operation_id, wish.who)
    if is_new or is_accepted:
        drain_aside(engine, wish.operation_id)
    return is_new or is_accepted or is_stopped


def _put_off(tx: Connection, operation: Operation, wish: Wish, resume_at: float | None) -> bool:
    """Have a pause last until another time, or until a person ends it; False where it does already."""
    if operation.due_at == resume_at:
        return False
    if wish.beside:
        wish.beside(tx)
    save(tx, operation, replace(operation, due_at=resume_at, reason=wish.why or operation.reason))
    stands, until = operation.completion, "until somebody resumes it" if resume_at is None else _until(resume_at)
    why = "; ".join(filter(None, [wish.why, until]))
    append_event(tx, operation.id, at=clock.now(), who=wish.who, old=stands, new=stands, why=why)
    return True


def _until(moment: float | None) -> str | None:
    return None if moment is None else f"until {written(moment)}"


def _accept(tx: Connection, wish: Wish) -> bool:
    """Forget the silent workers, and tell in the history who said so; False when there are none."""
    lost = unconfirmed_steps(tx, wish.operation_id)
    for one in lost:
        why = f"accepted as unconfirmed: {one.slug} may still run on {one.host}, process {one.process}"
        append_event(
            tx, wish.operation_id, at=clock.now(), who=wish.who, step=one.slug, old=StepState.RUNNING,
            new=StepState.QUEUED, why=why,
        )  # fmt: skip
    return forget_unconfirmed(tx, wish.operation_id) > 0


def resume(engine: Engine, wish: Wish, *, take_back: bool = False, accepted: Collection[str] = ()) -> bool:
    """Let a paused operation go on, or withdraw a pause; False when it runs already.

    With `take_back`, whoever asks answers for it that one which was moved elsewhere does not go on there, and for what
    is `accepted`: see `app.domain.findings`. Raises MoveRefused when it has ended or will, DocumentUnusable when its
    workflow.json is not what was written, OperationMoved, PreflightFailed when it would not go on as it was paused.
    """
    while (changed := _resume(engine, *_looked_at(engine, wish, accepted, take_back=take_back))) is None:
        continue  # it was paused, or its document rebuilt, after the look at its document: look at the new one
    return changed


def _resume(engine: Engine, wish: Wish, seen: Operation) -> bool | None:
    """Resume an operation as it was looked at; None when it was paused, or its document written, since."""
    with engine.database.write() as tx:
        operation = locked(tx, wish)
        if operation.completion in (_C.SCHEDULED, _C.IN_PROGRESS) or _has_run_since(seen, operation):
            return False
        going_on = replace(operation, reason=None)
        if operation.completion is _C.PAUSED:
            if (operation.workflow_digest, operation.moved_at) != (seen.workflow_digest, seen.moved_at):
                return None
            _start_clocks(tx, engine, operation.id)
            store.unpark(tx, operation.id)
            going_on = replace(going_on, slice=operation.slice + 1, moved_at=None, moved_to=None)
        if (start_at := later(operation.start_at)) is not None:
            _move(tx, replace(going_on, due_at=start_at), _C.SCHEDULED, wish, was=operation)
            return True
        _move(tx, going_on, _C.IN_PROGRESS, wish, was=operation)
        store.release_held(tx, operation.id, clock.now() + engine.republish_after)
        queued = queued_steps(tx, operation.id)
        ready = due_at_once(tx, operation.id, queued)
    engine.publisher.publish(wish.operation_id, ready)
    engine.expect(earliest((step.call for step in queued), clock.now()))
    return True


def _has_run_since(seen: Operation, operation: Operation) -> bool:
    """Whether somebody else has resumed it since it was looked at, and it has come to its end already."""
    return operation.completion in (_C.COMPLETED, _C.FAILED) and operation.slice > seen.slice


def demand_here(operation: Operation) -> None:
    """Demand that an operation was not moved elsewhere. Raises OperationMoved."""
    if operation.moved_at is not None:
        raise OperationMoved(operation.id, operation.completion, _moved(operation))


def why_taken_back(operation: Operation, why: str | None, *more: str) -> str | None:
    """What the history tells of an operation that goes on, in spite of what was moved and of whatever else."""
    back = f"taken back: {_moved(operation)}" if operation.moved_at else None
    return "; ".join(filter(None, [why, back, *more])) or None


def _moved(operation: Operation) -> str:
    when = utc(operation.moved_at or 0.0).isoformat(timespec="seconds")
    return f"it was moved to {operation.moved_to or 'elsewhere'} at {when}"


def _start_clocks(tx: Connection, engine: Engine, operation_id: int) -> None:
    """Let the waits for a retry go on that had not ended when the operation became PAUSED, where they stood then."""
    now = clock.now()
    paused_at = last_asked(tx, operation_id, _C.PAUSED)
    if paused_at is None or paused_at >= now:
        return
    waiting = retrying_steps(tx, operation_id, after=paused_at)
    stopped = [step.number for step in waiting if not engine.policies.of_task(step.task).count_paused_time]
    store.postpone(tx, operation_id, stopped, now - paused_at)


def cancel(engine: Engine, wish: Wish) -> bool:
    """Ask an operation to be cancelled; False when that was asked before. Raises MoveRefused when it has ended."""
    with engine.database.write() as tx:
        operation = locked(tx, wish)
        if operation.completion in (_C.REQUESTING_CANCEL, _C.CANCELLED):
            return False
        requested = _move(tx, operation, _C.REQUESTING_CANCEL, wish)
        if not is_anything_running(tx, operation.id):
            finish_cancel(tx, requested, engine)
    return True


def rebuild(engine: Engine, wish: Wish) -> Operation:
    """Write a paused operation's workflow.json anew from the table, as its next version."""
    snapshot = snapshot_for(engine, wish)
    operation = snapshot.operation
    if operation.completion is not _C.PAUSED:
        raise MoveRefused(operation.id, operation.completion, "rebuilt: only a PAUSED one has a workflow.json")
    stored = write_document(engine, snapshot)
    after = replace(operation, workflow_store=stored["workflow_store"], workflow_digest=stored["workflow_digest"])
    with engine.database.write() as tx:
        if not save(tx, operation, after):
            raise VersionPassed(operation.id, operation.version)
        why = "workflow.json rebuilt"
        append_event(tx, operation.id, at=clock.now(), who=wish.who, old=_C.PAUSED, new=_C.PAUSED, why=why)
    return replace(after, version=after.version + 1)


def snapshot_for(engine: Engine, wish: Wish) -> Snapshot:
    """The operation and its steps at one moment. Raises OperationNotFound, VersionPassed."""
    with engine.database.read() as tx:
        snapshot = snapshot_of(tx, wish.operation_id)
    if snapshot is None:
        raise OperationNotFound(wish.operation_id)
    _demand_version(snapshot.operation, wish)
    return snapshot


def _demand_version(operation: Operation, wish: Wish) -> None:
    if wish.version is not None and wish.version != operation.version:
        raise VersionPassed(operation.id, operation.version)


def due_at_once(tx: Connection, operation_id: int, queued: Sequence[StepTask]) -> list[StepTask]:
    """Those that may start now; for the others the time is set when they are published, a countdown beginning anew."""
    now = clock.now()
    for step in queued:
        if (start := not_before(step.call, now)) is not None:
            store.mark_unpublished(tx, operation_id, [step.number], start)
    return [step for step in queued if not_before(step.call, now) is None]


def _looked_at(
    engine: Engine, wish: Wish, accepted: Collection[str], *, take_back: bool
) -> tuple[Wish, Operation]:  # fmt: skip
    """The operation once, where it is paused, its document was found whole and what is here fit for it.

    It comes with the wish, which tells in spite of what it goes on.
    """
    with engine.database.glance() as tx:
        operation = find_operation(tx, wish.operation_id)
    if operation is None:
        raise OperationNotFound(wish.operation_id)
    if operation.completion is not _C.PAUSED:
        return wish, operation
    if not take_back:
        demand_here(operation)
    verify_document(operation)
    why = [f"accepted: {one.sentence}" for one in demand_fit(engine, operation, accepted)]
    return replace(wish, why=why_taken_back(operation, wish.why, *why)), operation


def locked(tx: Connection, wish: Wish) -> Operation:
    """The operation, its row taken for the rest of the transaction. Raises OperationNotFound, VersionPassed."""
    operation = lock_operation(tx, wish.operation_id)
    if operation is None:
        raise OperationNotFound(wish.operation_id)
    _demand_version(operation, wish)
    return operation


def _move(tx: Connection, operation: Operation, to: Completion, wish: Wish, was: Operation | None = None) -> Operation:
    """Move the operation and tell its history; the move was found legal by the table or is refused by it."""
    before = was or operation
    if before.completion in ENDED or (to is not _C.CANCELLED and before.completion is _C.REQUESTING_CANCEL):
        raise MoveRefused(before.id, before.completion, to)
    if wish.beside:
        wish.beside(tx)
    reason = wish.why if to in REQUESTING else operation.reason
    after = replace(operation, completion=to, reason=reason, result=None)
    save(tx, before, after)
    why = "; ".join(filter(None, [wish.why, _until(after.resume_at if to is _C.REQUESTING_PAUSE else None)])) or None
    append_event(tx, before.id, at=clock.now(), who=wish.who, old=before.completion, new=to, why=why)
    return replace(after, version=before.version + 1)
