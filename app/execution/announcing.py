"""Writing into the outbox, in the transaction of a change, whom it is to be told to: people, and handlers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.domain.states import Failed, Pending, Running, State, StepState
from app.execution.endings import starting, state_of
from app.execution.operation_states import RUNNING, operation_state

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from app.execution.engine import Engine
    from app.execution.settling import Ended
    from app.store.operations import Operation
    from app.store.steps import StepTask


@dataclass(frozen=True, slots=True)
class Announcer:
    """Writes what is to be told of the changes of one transaction; each method says whether there is anything."""

    tx: Connection
    engine: Engine
    now: float

    def ends(self, operation: Operation, ended: Iterable[Ended]) -> bool:
        """What people asked to be told of how these steps ended."""
        is_any = False
        for one in ended:
            if one.ending.state is not StepState.QUEUED and self.engine.policies.of_task(one.step.task).notify:
                old = Pending() if one.ending.state is StepState.TRIGGER_FAILED else Running()
                is_any |= self._step(operation, one.step, old, state_of(one.ending, one.step))
        return is_any

    def start(self, operation: Operation, step: StepTask) -> bool:
        """What people asked to be told of the start of a step."""
        if step.plain or not self.engine.policies.of_task(step.task).notify:
            return False
        return self._step(operation, step, Pending(), starting())

    def _step(self, operation: Operation, step: StepTask, old: State, new: State) -> bool:
        return self.engine.notices.changed(
            self.tx,
            operation,
            step=step.slug,
            change=f"{step.claim}:{new.name}",
            sources=[(f"step:{step.task}", self.engine.policies.of_task(step.task).notify)],
            old=old.name,
            new=new,
            now=self.now,
            task=step.task,
            attempt=step.runs,
        )

    def operation(self, before: Operation, after: Operation) -> bool:
        """What people asked to be told of where an operation stands now."""
        policies = self.engine.policies
        (source, listed), everywhere = policies.notify_of(after), policies.everywhere
        new = operation_state(after) if listed or everywhere else None
        if new is None or before.completion is after.completion:
            return False
        return self.engine.notices.changed(
            self.tx,
            after,
            step="",
            change=f"{before.version + 1}:{new.name}",
            sources=[(source, listed), ("all", everywhere)],
            old=_before(before).name,
            new=new,
            now=self.now,
        )

    def rest(self, before: Operation, after: Operation) -> bool:
        """What people and handlers are to be told of an operation that was paused or cancelled."""
        is_any = self.operation(before, after)
        new = operation_state(after)
        if new is None or not self.engine.policies.asks_handlers(after):
            return is_any
        self.engine.notices.told(
            self.tx,
            after,
            step="",
            change=f"{before.version + 1}:{new.name}",
            source=f"workflow:{after.workflow}",
            old=_before(before).serialize(),
            new=new.serialize(),
            now=self.now,
        )
        return True

    def loss(self, operation: Operation, step: StepTask, why: str, *, is_final: bool) -> bool:
        """What handlers are to be told of a step whose claim was taken away: to run again, or for good."""
        if not self.engine.policies.of_task(step.task).handlers:
            return False
        new = Failed(why) if is_final else Pending(why)
        self.engine.notices.told(
            self.tx,
            operation,
            step=step.slug,
            change=f"{step.claim}:lost",
            source=f"step:{step.task}",
            old=starting().serialize(),
            new=new.serialize(),
            now=self.now,
        )
        return True


def _before(operation: Operation) -> State:
    """The state of an operation before a change: one that is asked to pause or cancel still runs."""
    return operation_state(operation) or Running(RUNNING)
