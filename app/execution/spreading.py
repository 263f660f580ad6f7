"""What the end of steps means for those that wait for them: ready, or ended without having run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.domain.states import BAD, GOOD, StepState
from app.domain.triggers import not_run_after
from app.store import endings as store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from app.execution.settling import Ended
    from app.store.steps import StepTask


@dataclass(slots=True)
class Spread:
    """The steps that became ready, and how many ended without having run: of these so many were skipped."""

    ready: list[StepTask] = field(default_factory=list)
    ended: int = 0
    skipped: int = 0


def spread(tx: Connection, operation_id: int, ended: Iterable[Ended], now: float) -> Spread:
    """Count down whatever waits for these steps, as they have ended."""
    found = Spread()
    spoiled: list[int] = []
    good: list[int] = []
    for one in ended:
        state, number = one.ending.state, one.step.number
        if one.ending.graph is not None:
            continue  # what waits for it waits for those that it put in its place
        if state in GOOD:
            good += [number] if one.is_awaited else []
        elif state in BAD:
            why = not_run_after({one.step.slug: state}, "all_successful")
            also = store.spread_failure(tx, operation_id, [number], now, why)
            found.ended += len(also)
            spoiled += [number, *also]
        elif state is StepState.SKIPPED:
            spoiled.append(number)
    spoiled += _sort(tx, operation_id, store.count_down(tx, operation_id, good), found, now)
    while spoiled:
        spoiled = _sort(tx, operation_id, store.spoil(tx, operation_id, spoiled), found, now)
    found.ready.sort(key=lambda step: step.number)
    return found


def _sort(tx: Connection, operation_id: int, free: Iterable[StepTask], found: Spread, now: float) -> list[int]:
    """Take in the steps that wait for nothing any more; returns those that were skipped at once.

    A plain step with a spoiled upstream is: had that ended badly, the step would have ended with it.
    """
    skipped: list[int] = []
    for step in free:
        if step.plain and step.spoiled:
            skipped.append(step.number)
        else:
            found.ready.append(step)
    store.skip(tx, operation_id, skipped, now)
    found.ended += len(skipped)
    found.skipped += len(skipped)
    return skipped
