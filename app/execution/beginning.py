"""The beginning of an operation whose workflow has state handlers: the worker of its first step asks them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from app import clock
from app.domain.states import CLAIMABLE, Paused, State, StepState
from app.errors import ClaimLost
from app.execution.asking import beginning
from app.execution.claiming import begin
from app.execution.draining import drain
from app.execution.endings import Ending, kept_text
from app.execution.finishing import End
from app.execution.settling import Ended
from app.execution.settling_surely import settle_surely
from app.execution.surely import surely
from app.execution.timing import not_before
from app.store.operations import find_operation, lock_operation
from app.store.step_queries import find_step, queued_steps

if TYPE_CHECKING:
    from app.execution.engine import Engine
    from app.store.operations import Operation
    from app.store.steps import StepTask


def may_begin(engine: Engine, operation_id: int, step: StepTask) -> bool:
    """Whether the step that was claimed may run, as far as its operation's state handlers are concerned.

    When it may not, it has been settled with what they wanted instead. Raises ClaimLost.
    """
    if not engine.policies.has_handlers:
        return True
    operation = surely(partial(_unbegun, engine, operation_id))
    if operation is None:
        return True
    started_at = clock.now()
    answer = beginning(engine, operation)
    if isinstance(answer, State) and answer.is_running():
        surely(partial(_begin, engine, operation_id, step))
        return True
    _end_here(engine, operation_id, answer, step, started_at)
    return False


def _unbegun(engine: Engine, operation_id: int) -> Operation | None:
    with engine.database.glance() as tx:
        operation = find_operation(tx, operation_id)
    if operation is None or operation.started_at is not None:
        return None
    return operation if engine.policies.asks_handlers(operation) else None


def _begin(engine: Engine, operation_id: int, step: StepTask) -> None:
    """Note the beginning under this step's claim, and publish what waited for it."""
    with engine.database.write() as tx:
        operation = lock_operation(tx, operation_id)
        present = find_step(tx, operation_id, step.number)
        if operation is None or present is None or (present[0].claim, present[1]) != (step.claim, StepState.RUNNING):
            raise ClaimLost(operation_id)
        begin(tx, engine, operation, clock.now())
        waiting = queued_steps(tx, operation_id) if operation.completion in CLAIMABLE else []
    now = clock.now()
    engine.publisher.publish(operation_id, [one for one in waiting if not_before(one.call, now) is None])


def _end_here(engine: Engine, operation_id: int, answer: State | End, step: StepTask, started_at: float) -> None:
    """End or pause an operation that has not begun: until that is written, nobody else may claim a step of it."""
    if isinstance(answer, End):
        ending, end = Ending(StepState.CANCELLED), answer
    else:
        until = answer.start_time.timestamp() if isinstance(answer, Paused) and answer.start_time else None
        message = None if answer.message is None else kept_text(answer.message)
        ending, end = Ending(StepState.PAUSED, message=message, due_at=until), None
    settle_surely(engine, operation_id, [Ended(step, ending, True, started_at, clock.now())], end=end)
    drain(engine, operation_id)
