"""Settling a claimed step outside a slice, and failing one with what kept it from running."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app import clock
from app.domain.states import StepState
from app.execution.draining import drain_aside
from app.execution.endings import failed
from app.execution.errbacks import call_errbacks
from app.execution.settling import Ended, is_waiting_for_drain
from app.execution.settling_surely import settle_surely

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.execution.engine import Engine
    from app.store.steps import StepTask


def fail(engine: Engine, operation_id: int, step: StepTask, fault: BaseException) -> None:
    """End a claimed step as Failed with this fault. Raises ClaimLost."""
    now = clock.now()
    settle_and_tell(engine, operation_id, [Ended(step, failed(fault), True, now, now)])


def settle_and_tell(engine: Engine, operation_id: int, ended: Sequence[Ended]) -> None:
    """Settle steps whose caller runs nothing more: publish what is ready, call errbacks, drain. Raises ClaimLost."""
    settled = settle_surely(engine, operation_id, ended)
    engine.publisher.publish(operation_id, [*settled.publish, *filter(None, [settled.ask])])
    if any(one.ending.state is StepState.RETRYING for one in ended):
        engine.wake_sweeper()
    for one in ended_in_fact(ended, settled.failed):
        call_errbacks(engine, operation_id, one)
    if is_waiting_for_drain(settled):
        drain_aside(engine, operation_id)


def ended_in_fact(ended: Sequence[Ended], instead: Sequence[Ended]) -> list[Ended]:
    """Return the ends as they were recorded: the failures first that stand in the place of ends that could not be."""
    failures = {one.step.number for one in instead}
    return [*instead, *(one for one in ended if one.step.number not in failures)]
