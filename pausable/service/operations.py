"""Start, pause, resume, cancel, retry and show operations: what the web and the terminal call."""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar, Unpack

from pausable import clock
from pausable.db import transitions as store
from pausable.db.claims import forget_unconfirmed, unconfirmed_steps
from pausable.db.database import once
from pausable.db.history import Event, events_of, last_asked, log_parts, number_of_slug
from pausable.db.operations import (
    Operation,
    OperationSummary,
    completion_of,
    find_by_idempotency_key,
    find_operation,
    list_operations,
    next_id,
)
from pausable.db.steps import (
    DrawnStep,
    Running,
    ShownStep,
    count_edges,
    drawn_steps,
    edges_of,
    is_anything_running,
    queued_steps,
    retrying_steps,
    running_steps,
    shown_steps,
)
from pausable.db.transitions import TakenBack, ready_again, standings, take_back
from pausable.engine import start as starting
from pausable.engine.change import changing
from pausable.engine.checkpoints import parts_of_operation, parts_of_step
from pausable.engine.documents import snapshot_of, verify_document, write_document
from pausable.engine.drain import drain_aside, finish_cancel
from pausable.engine.publish import earliest, later, not_before, written
from pausable.engine.release import stop_now
from pausable.engine.replace import take_back_replacements
from pausable.engine.settle import queue
from pausable.engine.start import Request
from pausable.errors import (
    DocumentNotWritten,
    IdempotencyKeyReused,
    MoveRefused,
    NothingToRetry,
    OperationMoved,
    OperationNotFound,
    OperationThinned,
    PictureTooLarge,
    ResultFault,
    ResultGone,
    ResultMissing,
    StepNotFound,
    TrustNeedsAdmin,
    VersionPassed,
)
from pausable.model.graph import counters, steps_to_rerun
from pausable.model.picture import Drawn, draw
from pausable.model.states import ENDED, REQUESTING, Completion, StepState
from pausable.model.times import utc
from pausable.service.preflight import demand_fit
from pausable.workflows.registry import flow_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from pausable.db.database import Connection, Database
    from pausable.db.transitions import StepTask
    from pausable.db.users import User
    from pausable.engine.change import Change
    from pausable.engine.documents import Snapshot
    from pausable.engine.engine import Engine
    from pausable.workflows.registry import Workflow, Workflows

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
    #: The user who asks, and to whom an operation of another user does not exist; None for the service itself.
    requester: User | None = None

    def demand_right(self, operation: Operation | None) -> Operation:
        """Return the operation if this may be asked of it as it stands.

        Raises:
            OperationNotFound: There is none, or the requester may not see it.
            VersionPassed: It has changed since the requester looked at it.
        """
        if operation is None or (self.requester and not _may_see(self.requester, operation)):
            raise OperationNotFound(self.operation_id)
        if self.version is not None and self.version != operation.version:
            raise VersionPassed(operation.id, operation.version)
        return operation


class HowToPause(TypedDict, total=False):
    """How an operation is to pause: see `pause`."""

    now: bool
    accept_unconfirmed: bool
    resume_at: float | None


class HowToResume(TypedDict, total=False):
    """How an operation is to go on: see `resume`."""

    take_back: bool
    accepted: Collection[str]


@contextmanager
def changing_for(engine: Engine, wish: Wish) -> Iterator[Change]:
    """Lock the operation that a wish is about, for the block. Raises OperationNotFound, VersionPassed."""
    with changing(engine, wish.operation_id) as op:
        wish.demand_right(op.operation)
        yield op


def pause(
    engine: Engine, wish: Wish, *, now: bool = False, accept_unconfirmed: bool = False, resume_at: float | None = None
) -> tuple[Operation, bool]:
    """Ask an operation to pause.

    Args:
        engine: The engine.
        wish: Who asks, and of which operation.
        now: Whether the steps of it that run are stopped; they run again when it is resumed.
        accept_unconfirmed: Whether whoever asks answers for it that silent workers run nothing of it any more.
        resume_at: When the service resumes it, in seconds since the epoch; it takes the place of the time that an
            earlier pause said, also where it is None.

    Returns:
        The operation as it was written, and whether anything has changed: False when that was asked before.

    Raises:
        OperationNotFound: There is none, or the requester may not see it.
        VersionPassed: It has changed since the requester looked at it.
        MoveRefused: It has ended, or is to be cancelled.
    """
    resume_at = None if resume_at is None else max(resume_at, clock.now())
    with changing_for(engine, wish) as op:
        is_new = op.operation.completion not in (_C.REQUESTING_PAUSE, _C.PAUSED)
        if is_new:
            _move(op, replace(op.operation, due_at=resume_at), _C.REQUESTING_PAUSE, wish)
        is_new = is_new or _put_off(op, wish, resume_at)
        is_accepted = accept_unconfirmed and _accept(op, wish)
    operation = op.operation
    is_stopped = now and operation.completion is not _C.PAUSED and stop_now(engine, operation.id, wish.who)
    drained = drain_aside(engine, operation.id) if is_new or is_accepted else None
    if is_stopped and drained is None:  # each step that was stopped has changed the row
        with engine.database.glance() as tx:
            drained = find_operation(tx, operation.id)
    return drained or operation, is_new or is_accepted or is_stopped


def _put_off(op: Change, wish: Wish, resume_at: float | None) -> bool:
    """Have a pause last until another time, or until a person ends it; False where it does already."""
    operation = op.operation
    if operation.due_at == resume_at:
        return False
    if wish.beside:
        wish.beside(op.tx)
    until = "until somebody resumes it" if resume_at is None else _until(resume_at)
    why = "; ".join(filter(None, [wish.why, until]))
    op.move(replace(operation, due_at=resume_at, reason=wish.why or operation.reason), who=wish.who, why=why)
    return True


def _until(moment: float | None) -> str | None:
    return None if moment is None else f"until {written(moment)}"


def _accept(op: Change, wish: Wish) -> bool:
    """Forget the silent workers, and tell in the history who said so; False when there are none."""
    for one in unconfirmed_steps(op.tx, op.operation.id):
        why = f"accepted as unconfirmed: {one.slug} may still run on {one.host}, process {one.process}"
        op.tell(who=wish.who, step=one.slug, old=StepState.RUNNING, new=StepState.QUEUED, why=why)
    return forget_unconfirmed(op.tx, op.operation.id) > 0


def resume(
    engine: Engine, wish: Wish, *, take_back: bool = False, accepted: Collection[str] = ()
) -> tuple[Operation, bool]:
    """Let a paused operation go on, or withdraw a pause.

    Args:
        engine: The engine.
        wish: Who asks, and of which operation.
        take_back: Whether whoever asks answers for it that one which was moved elsewhere does not go on there.
        accepted: The findings that they answer for: see `pausable.model.explanation`.

    Returns:
        The operation as it was written, and whether anything has changed: False when it runs already.

    Raises:
        OperationNotFound: There is none, or the requester may not see it.
        VersionPassed: It has changed since the requester looked at it.
        MoveRefused: It has ended, or is to be cancelled.
        DocumentUnusable: Its workflow.json is not what was written.
        OperationMoved: It was moved elsewhere.
        PreflightFailed: It would not go on as it was paused.
    """
    while (changed := _resume(engine, *_looked_at(engine, wish, accepted, take_back=take_back))) is None:
        continue  # it was paused, or its document rebuilt, after the look at its document: look at the new one
    return changed


def _resume(engine: Engine, wish: Wish, seen: Operation) -> tuple[Operation, bool] | None:
    """Resume an operation as it was looked at; None when it was paused, or its document written, since."""
    with changing_for(engine, wish) as op:
        operation = op.operation
        if operation.completion in (_C.SCHEDULED, _C.IN_PROGRESS) or _has_run_since(seen, operation):
            return operation, False
        going_on = replace(operation, reason=None)
        if operation.completion is _C.PAUSED:
            if (operation.workflow_digest, operation.moved_at) != (seen.workflow_digest, seen.moved_at):
                return None
            if store.unpark(op.tx, operation.id):
                _start_clocks(op.tx, engine, operation.id)
            going_on = replace(going_on, slice=operation.slice + 1, moved_at=None, moved_to=None)
        if (start_at := later(operation.start_at)) is not None:
            return _move(op, replace(going_on, due_at=start_at), _C.SCHEDULED, wish), True
        _move(op, going_on, _C.IN_PROGRESS, wish)
        queued = store.release_held(op.tx, operation.id, op.now + engine.republish_after)
        if operation.completion is not _C.PAUSED:  # only a pause that has taken effect has held all that was queued
            queued = queued_steps(op.tx, operation.id)
        go_on(op, queued)
        return op.operation, True


def go_on(op: Change, queued: Sequence[StepTask]) -> None:
    """Have steps that were queued published once the change is committed, each at its own time.

    Those that have a countdown, or a moment of their own, are published by a worker then: a countdown begins anew.

    Args:
        op: The change that has queued them.
        queued: The steps.
    """
    ready = []
    for step in queued:
        if (start := not_before(step.call, op.now)) is None:
            ready.append(step)
        else:
            store.mark_unpublished(op.tx, op.operation.id, [step.number], start)
    op.publish(ready)
    op.expect(earliest((step.call for step in queued), op.now))


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


def cancel(engine: Engine, wish: Wish) -> tuple[Operation, bool]:
    """Ask an operation to be cancelled; one of which nothing runs is cancelled at once.

    Args:
        engine: The engine.
        wish: Who asks, and of which operation.

    Returns:
        The operation as it was written, and whether anything has changed: False when that was asked before.

    Raises:
        OperationNotFound: There is none, or the requester may not see it.
        VersionPassed: It has changed since the requester looked at it.
        MoveRefused: It has ended otherwise.
    """
    with changing_for(engine, wish) as op:
        if op.operation.completion in (_C.REQUESTING_CANCEL, _C.CANCELLED):
            return op.operation, False
        requested = _move(op, op.operation, _C.REQUESTING_CANCEL, wish)
        if is_anything_running(op.tx, requested.id):
            return requested, True
        return finish_cancel(op), True


def rebuild(engine: Engine, wish: Wish) -> Operation:
    """Write a paused operation's workflow.json anew from the table, as its next version."""
    snapshot = snapshot_for(engine, wish)
    operation = snapshot.operation
    if operation.completion is not _C.PAUSED:
        raise MoveRefused(operation.id, operation.completion, "rebuilt: only a PAUSED one has a workflow.json")
    stored = write_document(engine, snapshot)
    after = replace(operation, workflow_store=stored["workflow_store"], workflow_digest=stored["workflow_digest"])
    with changing_for(engine, wish) as op:
        if op.operation != operation:
            raise VersionPassed(operation.id, operation.version)
        return op.move(after, who=wish.who, why="workflow.json rebuilt")


def snapshot_for(engine: Engine, wish: Wish) -> Snapshot:
    """The operation and its steps at one moment. Raises OperationNotFound, VersionPassed."""
    with engine.database.read() as tx:
        snapshot = snapshot_of(tx, wish.operation_id)
    if snapshot is None:
        raise OperationNotFound(wish.operation_id)
    wish.demand_right(snapshot.operation)
    return snapshot


def _looked_at(
    engine: Engine, wish: Wish, accepted: Collection[str], *, take_back: bool
) -> tuple[Wish, Operation]:  # fmt: skip
    """The operation once, where it is paused, its document was found whole and what is here fit for it.

    It comes with the wish, which tells in spite of what it goes on.
    """
    with engine.database.glance() as tx:
        found = find_operation(tx, wish.operation_id)
    operation = wish.demand_right(found)
    if operation.completion is not _C.PAUSED:
        return wish, operation
    if not take_back:
        demand_here(operation)
    verify_document(operation)
    why = [f"accepted: {one.sentence}" for one in demand_fit(engine, operation, accepted)]
    return replace(wish, why=why_taken_back(operation, wish.why, *why)), operation


def _move(op: Change, after: Operation, to: Completion, wish: Wish) -> Operation:
    """Move the operation to where the wish has it, if a person may ask for that; return it as it was written.

    Raises:
        MoveRefused: It has ended, or is to be cancelled; or the table of moves has no such move.
    """
    stands = op.operation.completion
    if stands in ENDED or (to is not _C.CANCELLED and stands is _C.REQUESTING_CANCEL):
        raise MoveRefused(after.id, stands, to)
    if wish.beside:
        wish.beside(op.tx)
    reason = wish.why if to in REQUESTING else after.reason
    after = replace(after, completion=to, reason=reason, result=None)
    why = "; ".join(filter(None, [wish.why, _until(after.resume_at if to is _C.REQUESTING_PAUSE else None)])) or None
    return op.move(after, who=wish.who, why=why)


def retry(engine: Engine, wish: Wish, *, take_back: bool = False) -> Operation:
    """Let a FAILED operation go on from its failed steps, which begin anew, with no loss and no retry counted.

    Args:
        engine: The engine.
        wish: Who asks, and of which operation.
        take_back: Whether whoever asks answers for it that one which was moved elsewhere is not retried there.

    Returns:
        The operation as it was written.

    Raises:
        OperationNotFound: There is none, or the requester may not see it.
        VersionPassed: It has changed since the requester looked at it.
        MoveRefused: It is not FAILED.
        OperationMoved: It was moved elsewhere.
        NothingToRetry: No step of it has failed.
        OperationThinned: Its rows are no longer all there.
    """
    with changing_for(engine, wish) as op:
        operation = op.operation
        if operation.completion is not _C.FAILED:
            raise MoveRefused(operation.id, operation.completion, "retried: only a FAILED one has failed steps")
        if not take_back:
            demand_here(operation)
        after = _gone_back(op.tx, operation)
        op.publish(queue(op.tx, engine, operation.id, ready_again(op.tx, operation.id), op.now))
        return op.move(after, who=wish.who, why=why_taken_back(operation, wish.why), is_news=True)


def _gone_back(tx: Connection, operation: Operation) -> Operation:
    """The operation as it stands once the steps that run again are pending."""
    states = _whole(tx, operation)
    edges = edges_of(tx, operation.id)
    again = steps_to_rerun(states, edges)
    if not again:
        raise NothingToRetry(operation.id, operation.completion)
    operation, edges = take_back_replacements(tx, operation, states, edges, again)
    waits = counters(again, states, edges)
    take_back(tx, operation.id, [TakenBack(number, states[number], *waits[number]) for number in sorted(again)])
    return replace(
        operation,
        completion=_C.IN_PROGRESS,
        steps_left=len(again),
        steps_done=operation.steps_total - len(again),
        result=None,
        error=None,
        reason=None,
        finished_at=None,
        slice=operation.slice + 1,
        moved_at=None,
        moved_to=None,
    )


def _whole(tx: Connection, operation: Operation) -> dict[int, StepState]:
    """Where all the steps stand. `prune` takes the history of a large operation first, then its edges, then its steps.

    So where the history still tells that it failed, no edge is missing.
    """
    states = standings(tx, operation.id)
    if len(states) < operation.steps_total or last_asked(tx, operation.id, _C.FAILED) is None:
        raise OperationThinned(operation.id, operation.completion)
    return states


ShownT = TypeVar("ShownT", ShownStep, DrawnStep)
_log = logging.getLogger(__name__)

#: Nothing runs of an operation that stands here.
_AT_REST = ENDED | {Completion.SCHEDULED, Completion.PAUSED}
#: Steps that a picture is made of at the most, and edges between them: so many are read for it.
_DRAWN_STEPS: Final = 20_000
_DRAWN_EDGES: Final = 100_000


@dataclass(frozen=True, slots=True)
class View:
    """An operation and the steps of it that run now, or may run for all that is known."""

    operation: Operation
    in_flight: tuple[Running, ...]


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands; every one is made in the name of a user, who sees only their own operations unless an admin."""

    engine: Engine
    workflows: Workflows

    def start_operation(self, requester: User, workflow: str, *args: Any, **kwargs: Any) -> int:
        """Start a workflow with these arguments; returns the operation's id.

        Raises WorkflowUnknown, ArgumentsInvalid, CanvasRefused.
        """
        named = self.workflows.get(workflow).parameters.named(args)
        return self.start(requester, workflow, named | kwargs)[0].operation.id

    def start(
        self,
        requester: User,
        workflow: str,
        arguments: dict[str, Any],
        *,
        idempotency_key: str | None = None,
        start_at: float | None = None,
    ) -> tuple[View, bool]:
        """Start a workflow; True with it when it is new, False when the key had already started it.

        With `start_at`, in seconds since the epoch, no step of it is started before.
        Raises WorkflowUnknown, ArgumentsInvalid, CanvasRefused, IdempotencyKeyReused.
        """
        recipe = self.workflows.get(workflow)
        digest = _digest(workflow, arguments, start_at) if idempotency_key is not None else None

        def make() -> tuple[View, bool]:
            asked = (requester.id, requester.name, workflow, recipe.validate(arguments), idempotency_key, digest)
            return self.show(requester, self._insert(recipe, Request(*asked, start_at))), True

        return once(partial(self._started, requester, idempotency_key, digest), make)

    def show(self, requester: User, operation_id: int) -> View:
        """The operation as it stands. Raises OperationNotFound."""
        with self.engine.database.glance() as tx:
            operation = find_operation(tx, operation_id)
        if operation is None or not _may_see(requester, operation):
            raise OperationNotFound(operation_id)
        return self._view(operation)

    def _view(self, operation: Operation) -> View:
        """The operation as it was read or written, and what runs of it now."""
        if operation.completion in _AT_REST:
            return View(operation, ())
        with self.engine.database.glance() as tx:
            running = running_steps(tx, operation.id)
            if operation.completion is Completion.REQUESTING_PAUSE:
                running += unconfirmed_steps(tx, operation.id)
        return View(operation, tuple(running))

    def completion(self, operation_id: int) -> Completion | None:
        """Where an operation stands that the requester is known to see: the cheapest look there is."""
        with self.engine.database.glance() as tx:
            return completion_of(tx, operation_id)

    def list(
        self,
        requester: User,
        *,
        completions: Sequence[Completion] = (),
        workflow: str | None = None,
        before_id: int | None = None,
        limit: int = 50,
    ) -> list[OperationSummary]:
        """The requester's operations, an admin's all, newest first, those older than `before_id`."""
        with self.engine.database.glance() as tx:
            return list_operations(
                tx,
                requester_id=None if requester.is_admin else requester.id,
                completions=completions,
                workflow=workflow,
                before_id=before_id,
                limit=limit,
            )

    def pause(
        self,
        requester: User,
        operation_id: int,
        *,
        reason: str | None = None,
        version: int | None = None,
        **how: Unpack[HowToPause],
    ) -> tuple[View, bool]:
        """Ask an operation to pause; False with it when that was asked before. Raises MoveRefused, VersionPassed.

        With `now` the steps that run are stopped, and run again from their cursor when it is resumed. With
        `accept_unconfirmed` a silent worker that is not proven gone is waited for no longer; the history tells. At
        `resume_at`, in seconds since the epoch, the service resumes it, unless somebody has paused or resumed it since.
        """
        operation, is_changed = pause(self.engine, _wish(requester, operation_id, reason, version), **how)
        return self._view(operation), is_changed

    def resume(
        self,
        requester: User,
        operation_id: int,
        *,
        reason: str | None = None,
        version: int | None = None,
        **how: Unpack[HowToResume],
    ) -> tuple[View, bool]:
        """Let a paused operation go on, or withdraw the pause; False with it when it runs already.

        One that was moved elsewhere goes on here only where an admin asks to `take_back`. Of what is found before
        (`pausable.model.explanation`), that is passed over which the requester has `accepted`. Raises MoveRefused,
        VersionPassed, DocumentUnusable, OperationMoved, TrustNeedsAdmin, PreflightFailed.
        """
        _demand_admin(requester, take_back=how.get("take_back", False))
        operation, is_changed = resume(self.engine, _wish(requester, operation_id, reason, version), **how)
        return self._view(operation), is_changed

    def cancel(
        self, requester: User, operation_id: int, *, reason: str | None = None, version: int | None = None
    ) -> tuple[View, bool]:
        """Ask an operation to be cancelled; False with it when that was asked. Raises MoveRefused, VersionPassed."""
        operation, is_changed = cancel(self.engine, _wish(requester, operation_id, reason, version))
        return self._view(operation), is_changed

    def retry(
        self,
        requester: User,
        operation_id: int,
        *,
        reason: str | None = None,
        version: int | None = None,
        take_back: bool = False,
    ) -> View:
        """Let a FAILED operation go on from its failed steps; one that was moved elsewhere as `resume` does.

        Raises MoveRefused, NothingToRetry, OperationThinned, VersionPassed, OperationMoved, TrustNeedsAdmin.
        """
        _demand_admin(requester, take_back=take_back)
        return self._view(retry(self.engine, _wish(requester, operation_id, reason, version), take_back=take_back))

    def rebuild(self, requester: User, operation_id: int) -> View:
        """Write a paused operation's workflow.json anew from the table. Raises MoveRefused."""
        return self._view(rebuild(self.engine, _wish(requester, operation_id, None, None)))

    def steps(
        self, requester: User, operation_id: int, *, after: int = -1, limit: int = 1000, has_results: bool = True
    ) -> Sequence[ShownStep]:
        """The operation's steps in topological order, those after number `after`; results only where asked for."""
        operation = self.show(requester, operation_id).operation
        with self.engine.database.glance() as tx:
            found = shown_steps(tx, operation_id, after=after, limit=limit, has_results=has_results)
        return as_shown(operation, found)

    def graph(self, requester: User, operation_id: int) -> str:
        """The picture of the operation's steps as they stand now, in SVG. Raises PictureTooLarge."""
        operation = self.show(requester, operation_id).operation
        with self.engine.database.read() as tx:
            if operation.steps_total > _DRAWN_STEPS or count_edges(tx, operation_id, _DRAWN_EDGES + 1) > _DRAWN_EDGES:
                raise PictureTooLarge(operation_id, _DRAWN_STEPS, _DRAWN_EDGES)
            steps, edges = drawn_steps(tx, operation_id), edges_of(tx, operation_id)
        title = f"{operation.workflow} {operation.id}: {operation.completion}"
        return _picture(title, tuple(map(_drawn, as_shown(operation, steps))), tuple(edges))

    def step_log(self, requester: User, operation_id: int, slug: str) -> Iterator[str]:
        """What the code of a step has logged, run by run, read as it is asked for. Raises StepNotFound."""
        self.show(requester, operation_id)
        with self.engine.database.glance() as tx:
            number = number_of_slug(tx, operation_id, slug)
        if number is None:
            raise StepNotFound(operation_id, slug)
        return _log_of(self.engine.database, operation_id, number)

    def result(self, requester: User, operation_id: int) -> tuple[str, Iterator[bytes]]:
        """Return what tells this result from any other, and its JSON, whole, a part at a time.

        Raises ResultMissing before the operation is COMPLETED; ResultGone when what it refers to cannot be read.
        """
        operation = self.show(requester, operation_id).operation
        if operation.completion is not Completion.COMPLETED:
            raise ResultMissing(operation.id, operation.completion)
        return _digest_of_result(operation.result), _begun(operation_id, parts_of_operation(self.engine, operation))

    def result_of_step(self, requester: User, operation_id: int, slug: str) -> tuple[str, Iterator[bytes]]:
        """Return of a step what `result` does of the operation.

        Raises StepNotFound; ResultMissing before it has ended with a result; ResultGone when it cannot be read.
        """
        self.show(requester, operation_id)
        with self.engine.database.glance() as tx:
            number = number_of_slug(tx, operation_id, slug)
        if number is None:
            raise StepNotFound(operation_id, slug)
        with self.engine.database.glance() as tx:
            (row,) = shown_steps(tx, operation_id, after=number - 1, limit=1, has_results=True)
        if row.result is None:
            raise ResultMissing(operation_id, row.state, slug)
        return _digest_of_result(row.result), _begun(operation_id, parts_of_step(row.result), slug)

    def events(self, requester: User, operation_id: int, *, after: int = 0, limit: int = 1000) -> Sequence[Event]:
        """The operation's history in the order it happened, what came after the event `after`."""
        self.show(requester, operation_id)
        with self.engine.database.glance() as tx:
            return events_of(tx, operation_id, after=after, limit=limit)

    def document(self, requester: User, operation_id: int) -> bytes:
        """The bytes of a paused operation's workflow.json, signed. Raises DocumentNotWritten, DocumentUnusable."""
        operation = self.show(requester, operation_id).operation
        if operation.completion is not Completion.PAUSED:
            raise DocumentNotWritten(operation_id, operation.completion)
        content, keys = verify_document(operation), self.engine.keys
        return keys.sealed(json.loads(content)) if keys else content

    def _started(self, requester: User, key: str | None, digest: str | None) -> View | None:
        if key is None:
            return None
        with self.engine.database.glance() as tx:
            known = find_by_idempotency_key(tx, requester.id, key)
        if known is not None and known.request_digest != digest:
            raise IdempotencyKeyReused(key, known.id)
        return None if known is None else self.show(requester, known.id)

    def _insert(self, recipe: Workflow, request: Request) -> int:
        """Build the canvas outside any transaction: it is the author's code. One that asks for its id gets it first."""
        operation_id = None
        if recipe.parameters.takes_operation_id:
            with self.engine.database.write() as tx:
                operation_id = next_id(tx)
        canvas = recipe.canvas(operation_id or 0, request.arguments)
        graph = starting.graph_of(self.engine, canvas, operation_id, recipe.pause_every)
        return starting.insert(self.engine, request, graph, operation_id, flow_policy(canvas))


def as_shown(operation: Operation, steps: Sequence[ShownT]) -> Sequence[ShownT]:
    """Return steps as people are shown them: one that is held until its operation may start is Pending, not Paused."""
    if operation.completion is not Completion.SCHEDULED or operation.due_at is None:
        return steps
    return [replace(step, state=StepState.PENDING) if step.state is StepState.PAUSED else step for step in steps]


def _demand_admin(requester: User, *, take_back: bool) -> None:
    if take_back and not requester.is_admin:
        raise TrustNeedsAdmin("take back an operation that was moved elsewhere")


def _drawn(row: DrawnStep) -> Drawn:
    ended = row.finished_at or clock.now()
    task = row.task.rpartition(".")[2]
    return Drawn(row.number, row.slug, task, row.state, None if row.started_at is None else ended - row.started_at)


@lru_cache(maxsize=8)
def _picture(title: str, steps: tuple[Drawn, ...], edges: tuple[tuple[int, int], ...]) -> str:
    """The picture, drawn anew only where something of it has changed: a page asks for it with every change."""
    return draw(title, steps, edges)


def _digest_of_result(text: str | None) -> str:
    return hashlib.sha256((text or "null").encode()).hexdigest()[:32]


def _begun(operation_id: int, parts: Iterator[bytes], slug: str | None = None) -> Iterator[bytes]:
    """The parts, of which the first has been read: what cannot be read is told before anything is given."""
    try:
        first = next(parts, b"")
    except ResultFault as why:
        _log.warning("a result of operation %s: %s", operation_id, why)
        raise ResultGone(operation_id, slug) from why
    return chain([first], parts)


def _log_of(database: Database, operation_id: int, number: int) -> Iterator[str]:
    part = None
    while True:
        with database.glance() as tx:
            found = log_parts(tx, operation_id, number, after=part)
        if not found:
            return
        yield from (one.lines for one in found)
        part = found[-1]


def _wish(requester: User, operation_id: int, why: str | None, version: int | None) -> Wish:
    return Wish(operation_id, requester.name, why, version, requester=requester)


def _may_see(requester: User, operation: Operation) -> bool:
    return requester.is_admin or operation.requester_id == requester.id


def _digest(workflow: str, arguments: dict[str, Any], start_at: float | None) -> str:
    asked = [workflow, arguments] if start_at is None else [workflow, arguments, start_at]
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
