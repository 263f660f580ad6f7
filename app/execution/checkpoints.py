"""Checkpoints: a step whose target is there does not run, and what a step hands on is kept in its target."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from app.domain.graph import name_in_slugs
from app.domain.moments import utc
from app.domain.states import StepState
from app.errors import ClaimLost, ResultUnreadable, ResultUnwritable, SecretInResult, TargetMalformed, TargetOutside
from app.execution.endings import Ending, failed
from app.execution.loading import told
from app.execution.surely import surely
from app.results.local import LocalResult
from app.results.references import Reference, escaped, unescaped
from app.results.remote import RemoteResult
from app.results.serializers import SERIALIZERS
from app.secrets import found_in
from app.store.operations import find_operation
from app.store.step_queries import find_step

if TYPE_CHECKING:
    from app.execution.engine import Engine
    from app.results.base import Result
    from app.store.operations import Operation
    from app.store.steps import StepTask

    Arguments = tuple[list[Any], dict[str, Any]]

_NOTHING = (None, "null")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The place in a store where one step keeps its result."""

    store: Result
    path: str
    serializer: str
    #: Characters of a result in the table at the most.
    large: int

    def found(self) -> Ending | None:
        """How the step ends because its result lies there; failed where that cannot be read, None without any."""
        try:
            text = self._read()
        except Exception as why:  # a store may raise anything
            return failed(told(ResultUnreadable, self.place, why))
        if text is None:
            return None
        return Ending(StepState.CACHED, escaped(text), message=f"Its result was read from {self.place}.")

    def keep(self, engine: Engine, operation_id: int, step: StepTask, ending: Ending) -> Ending:
        """Put the result of a success there, unless that is None; returns how the step ends: as failed if it cannot be.

        Raises ClaimLost when the step is not in this worker's hands any more: then nothing was put there.
        """
        if ending.state is not StepState.SUCCESS or ending.result in _NOTHING:
            return ending
        guard = partial(surely, partial(_see_held, engine, operation_id, step))
        try:
            self.store.write(self.path, SERIALIZERS[self.serializer].dump(unescaped(ending.result or "")), guard=guard)
        except ClaimLost:
            raise
        except Exception as why:  # a store may raise anything
            return failed(told(ResultUnwritable, self.place, why))
        return self.by_reference(ending)

    def by_reference(self, ending: Ending) -> Ending:
        """The ending of a step whose result lies here; a large one is read from here by all who need it."""
        is_found_again = isinstance(self.store, LocalResult | RemoteResult)
        if ending.result is None or len(ending.result) <= self.large or not is_found_again:
            return ending
        return replace(ending, result=Reference(self.store.location, self.path, self.serializer).text)

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return self.store.place(self.path)

    def _read(self) -> str | None:
        if not self.store.exists(self.path):
            return None
        try:
            content = self.store.read(self.path)
        except FileNotFoundError:  # somebody has just removed it
            return None
        return SERIALIZERS[self.serializer].load(content)


def look(engine: Engine, operation_id: int, step: StepTask, call: Arguments) -> tuple[Checkpoint | None, Ending | None]:
    """Where a step keeps its result, and how it ends if that says so already; both None for one without a target."""
    try:
        point = checkpoint_of(engine, operation_id, step, call)
    except (TargetMalformed, TargetOutside, SecretInResult) as why:
        return None, failed(why)
    return point, point.found() if point else None


def checkpoint_of(engine: Engine, operation_id: int, step: StepTask, call: Arguments) -> Checkpoint | None:
    """Where a step keeps its result; None when it has no target.

    Raises TargetMalformed, TargetOutside, SecretInResult.
    """
    policy = engine.policies.of_task(step.task)
    if policy.target is None or not engine.checkpointing:
        return None
    operation = surely(partial(_operation, engine, operation_id))
    facts = {
        "date": utc(operation.created_at),
        "workflow": operation.workflow,
        "operation_id": operation_id,
        "step": step.slug,
        "task_name": step.task.rpartition(".")[2] or name_in_slugs(step.task),
    }
    path = policy.target.path(arguments_of(engine, step.task, call) | facts)
    if secret := found_in(path):
        raise SecretInResult(step.task, "target", secret)
    store = policy.result or engine.policies.of_operation(operation).result or engine.results
    return Checkpoint(store, path, policy.serializer, engine.large)


def arguments_of(engine: Engine, task: str, call: Arguments) -> dict[str, Any]:
    """The arguments by the names of the parameters that take them, with the defaults of the others."""
    args, kwargs = call
    try:
        bound = inspect.signature(engine.app.tasks[task].run).bind_partial(*args, **kwargs)
    except (KeyError, TypeError, ValueError):
        return dict(kwargs)
    bound.apply_defaults()
    return {**bound.arguments, **kwargs}


def _operation(engine: Engine, operation_id: int) -> Operation:
    with engine.database.glance() as tx:
        operation = find_operation(tx, operation_id)
    if operation is None:
        raise ClaimLost(operation_id)
    return operation


def _see_held(engine: Engine, operation_id: int, step: StepTask) -> None:
    """Raise ClaimLost when a step is no longer in this worker's hands: what it found is for nobody to see."""
    with engine.database.glance() as tx:
        present = find_step(tx, operation_id, step.number)
    if present is None or (present[0].claim, present[1]) != (step.claim, StepState.RUNNING):
        raise ClaimLost(operation_id)
