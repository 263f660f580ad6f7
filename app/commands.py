"""What a person may ask of the service; the web and the terminal translate, call one of these, and present."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeVar, Unpack

from app import clock
from app.domain.picture import Drawn, draw
from app.domain.states import ENDED, Completion, StepState
from app.errors import (
    DocumentNotWritten,
    IdempotencyKeyReused,
    OperationNotFound,
    PictureTooLarge,
    ResultFault,
    ResultGone,
    ResultMissing,
    StepNotFound,
    TrustNeedsAdmin,
)
from app.execution import retrying, starting, steering
from app.execution.documents import verify_document
from app.execution.starting import Request
from app.execution.steering import HowToPause, HowToResume, Wish
from app.execution.whole_results import parts_of_operation, parts_of_step
from app.store.claims import unconfirmed_steps
from app.store.errors import once
from app.store.events import Event, events_of
from app.store.operations import (
    Operation,
    OperationSummary,
    completion_of,
    find_by_idempotency_key,
    find_operation,
    list_operations,
    next_id,
)
from app.store.shown_steps import DrawnStep, ShownStep, count_edges, drawn_steps, shown_steps
from app.store.step_logs import log_parts, number_of_slug
from app.store.step_queries import Running, edges_of, running_steps
from app.workflows.registry import flow_policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from app.execution.engine import Engine
    from app.store.database import Database
    from app.store.users import User
    from app.workflows.registry import Workflow, Workflows


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
            running = [] if operation.completion in _AT_REST else running_steps(tx, operation_id)
            if operation.completion is Completion.REQUESTING_PAUSE:
                running += unconfirmed_steps(tx, operation_id)
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
        wish = self._wish(requester, operation_id, reason, version)
        changed = steering.pause(self.engine, wish, **how)
        return self.show(requester, operation_id), changed

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
        (`app.domain.findings`), that is passed over which the requester has `accepted`. Raises MoveRefused,
        VersionPassed, DocumentUnusable, OperationMoved, TrustNeedsAdmin, PreflightFailed.
        """
        _demand_admin(requester, take_back=how.get("take_back", False))
        wish = self._wish(requester, operation_id, reason, version)
        changed = steering.resume(self.engine, wish, **how)
        return self.show(requester, operation_id), changed

    def cancel(
        self, requester: User, operation_id: int, *, reason: str | None = None, version: int | None = None
    ) -> tuple[View, bool]:
        """Ask an operation to be cancelled; False with it when that was asked. Raises MoveRefused, VersionPassed."""
        changed = steering.cancel(self.engine, self._wish(requester, operation_id, reason, version))
        return self.show(requester, operation_id), changed

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
        retrying.retry(self.engine, self._wish(requester, operation_id, reason, version), take_back=take_back)
        return self.show(requester, operation_id)

    def rebuild(self, requester: User, operation_id: int) -> View:
        """Write a paused operation's workflow.json anew from the table. Raises MoveRefused."""
        steering.rebuild(self.engine, self._wish(requester, operation_id, None, None))
        return self.show(requester, operation_id)

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
        return _told_apart(operation.result), _begun(operation_id, parts_of_operation(self.engine, operation))

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
        return _told_apart(row.result), _begun(operation_id, parts_of_step(row.result), slug)

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

    def _wish(self, requester: User, operation_id: int, why: str | None, version: int | None) -> Wish:
        self.show(requester, operation_id)
        return Wish(operation_id, requester.name, why, version)

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


def _told_apart(text: str | None) -> str:
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


def _may_see(requester: User, operation: Operation) -> bool:
    return requester.is_admin or operation.requester_id == requester.id


def _digest(workflow: str, arguments: dict[str, Any], start_at: float | None) -> str:
    asked = [workflow, arguments] if start_at is None else [workflow, arguments, start_at]
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
