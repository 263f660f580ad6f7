"""Retrying a FAILED operation: its failed steps, and what lies behind them, run again; all other results are kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from app import clock
from app.domain.rerun import counters, steps_to_rerun
from app.domain.states import Completion
from app.errors import MoveRefused, NothingToRetry, OperationThinned
from app.execution.announcing import Announcer
from app.execution.growing import ungrown
from app.execution.settling import queue
from app.execution.steering import demand_here, locked, why_taken_back
from app.store.endings import TakenBack, ready_again, standings, take_back
from app.store.events import append_event, last_asked
from app.store.operations import save
from app.store.step_queries import edges_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from app.domain.states import StepState
    from app.execution.engine import Engine
    from app.execution.steering import Wish
    from app.store.operations import Operation

_C = Completion


def retry(engine: Engine, wish: Wish, *, take_back: bool = False) -> None:
    """Let a FAILED operation go on from its failed steps, which begin anew, with no loss and no retry counted.

    With `take_back`, whoever asks answers for it that one which was moved elsewhere is not retried there.
    Raises MoveRefused when it is not FAILED, OperationMoved, NothingToRetry when no step of it is, OperationThinned
    when its rows are no longer all there.
    """
    with engine.database.write() as tx:
        operation = locked(tx, wish)
        if operation.completion is not _C.FAILED:
            raise MoveRefused(operation.id, operation.completion, "retried: only a FAILED one has failed steps")
        if not take_back:
            demand_here(operation)
        after = _gone_back(tx, operation)
        now = clock.now()
        ready = queue(tx, engine, operation.id, ready_again(tx, operation.id), now)
        save(tx, operation, after)
        why = why_taken_back(operation, wish.why)
        append_event(tx, operation.id, at=now, who=wish.who, old=operation.completion, new=after.completion, why=why)
        Announcer(tx, engine, now).operation(operation, after)
    engine.publisher.publish(wish.operation_id, ready)


def _gone_back(tx: Connection, operation: Operation) -> Operation:
    """The operation as it stands once the steps that run again are pending."""
    states = _whole(tx, operation)
    edges = edges_of(tx, operation.id)
    again = steps_to_rerun(states, edges)
    if not again:
        raise NothingToRetry(operation.id, operation.completion)
    operation, edges = ungrown(tx, operation, states, edges, again)
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
