"""Siblings: steps that may run beside each other. A slice claims several short ones at a time, and runs them in turn.

One that would have to wait, behind a step that takes longer than it used to, is given back before its code has started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.domain.states import Completion
from app.errors import ClaimLost
from app.store import steps as store
from app.store.step_queries import queued_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlalchemy import Connection

    from app.execution.engine import Engine
    from app.store.operations import Operation
    from app.store.steps import StepTask

    #: Whether the caller would run a step, the operation standing so, behind so many that it has taken already.
    MayTake = Callable[[Completion, StepTask, int], bool]

#: Steps that a slice claims at a time at the most.
AT_ONCE: Final = 16


def take_ready(
    tx: Connection, engine: Engine, operation: Operation, ready: Sequence[StepTask], may_take: MayTake, now: float
) -> list[StepTask]:
    """Claim, behind the step that the caller goes on with, those of the ready steps that it would run too."""
    taken = list(_fitting(operation, ready, may_take, range(1, _at_once(engine))))
    for step in taken:
        if not store.claim_next(tx, operation.id, step, engine.holder(), now):
            raise ClaimLost(operation.id)
    return [step.claimed() for step in taken]


def take_queued(
    tx: Connection, engine: Engine, operation: Operation, after: int, may_take: MayTake, now: float
) -> list[StepTask]:
    """Claim steps that were queued before and that nobody has claimed: what is published of them finds them taken."""
    many = _at_once(engine)
    fitting = _fitting(operation, queued_after(tx, operation.id, after, many), may_take, range(many))
    claimed = (store.claim_step(tx, operation.id, step.number, engine.holder(), now) for step in fitting)
    return [step for step in claimed if step]


def _at_once(engine: Engine) -> int:
    """One that a worker dies of takes the others with it, begun or not: where that is not forgiven, one at a time."""
    return AT_ONCE if engine.max_losses > 1 else 1


def _fitting(
    operation: Operation, steps: Iterable[StepTask], may_take: MayTake, places: Iterable[int]
) -> Iterator[StepTask]:
    """The first of these steps, as far as there are places and the caller would run them one after another."""
    if operation.completion is not Completion.IN_PROGRESS:
        return
    for many, step in zip(places, steps, strict=False):
        is_asked_first = step.clause and not step.passed
        if is_asked_first or not may_take(operation.completion, step, many):
            return
        yield step
