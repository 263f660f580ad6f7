"""Publishing again: what is due, and what the broker must have lost because its queue begins later."""

from __future__ import annotations

from itertools import groupby
from math import inf
from typing import TYPE_CHECKING, Final

from app import clock
from app.domain.states import CLAIMABLE, StepState
from app.execution.apart import apart
from app.execution.tallying import REPUBLISHED
from app.execution.timing import is_timed
from app.store.due import Due, due_steps, unclaimed_steps
from app.store.operations import lock_operation
from app.store.step_queries import find_step
from app.store.steps import publish_again as queue_again

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.execution.engine import Engine
    from app.store.due import Unclaimed
    from app.store.steps import StepTask

#: Steps that one sweep publishes at the most.
_AT_ONCE: Final = 500
#: The wait until a step is published again doubles so often at the most.
_DOUBLINGS: Final = 6
#: Seconds within which a step that is due is left to that: it may not have been published yet.
_SOON: Final = 2.0
#: Seconds that a worker has to claim a step whose message it has taken.
_TAKING: Final = 2.0


def publish_due(engine: Engine) -> None:
    """Publish every step whose time has come."""
    with engine.database.glance() as tx:
        due = sorted(due_steps(tx, clock.now(), _AT_ONCE), key=lambda one: one.operation_id)
    for operation_id, group in groupby(due, lambda one: one.operation_id):
        with apart(operation_id, "publishing what is due"):
            _publish(engine, operation_id, list(group), clock.now())


def publish_lost(engine: Engine) -> None:
    """Publish what was published before and is in its queue no more, though nobody has claimed it.

    Its message was lost with a worker or a broker, or waits behind a long step in a worker that took it too early. One
    that is still in somebody's hands does no harm: the second claim is refused.
    """
    now, wait = clock.now() + _SOON, engine.republish_after
    with engine.database.glance() as tx:
        found = unclaimed_steps(tx, now=now, before=clock.now() - _TAKING, wait=wait, limit=_AT_ONCE)
    begins: dict[str, float] = {}
    for one in found:
        with apart(one.due.operation_id, "publishing what was lost"):
            if _is_lost(engine, one, begins):
                _publish(engine, one.due.operation_id, [one.due], inf)


def _is_lost(engine: Engine, one: Unclaimed, begins: dict[str, float]) -> bool:
    """Whether a step's message is in its queue no more; `begins` keeps where each queue begins."""
    queue = None if is_timed(one.step.call) else engine.publisher.queue_of(one.step)
    if queue is None:
        return False
    if queue not in begins:
        begins[queue] = _begins_at(engine, queue)
    return one.published_at < begins[queue] - _TAKING


def _begins_at(engine: Engine, queue: str) -> float:
    """When the oldest message of a queue was published, as far as that is known: no older one is in it any more."""
    depth = engine.publisher.depth(queue)
    if not depth:
        return inf if depth == 0 else 0.0
    return engine.publisher.oldest(queue) or 0.0


def publish_again(engine: Engine, operation_id: int, number: int) -> None:
    """Give a delivery back to the broker that this worker does not run: for another to take."""
    with engine.database.glance() as tx:
        found = find_step(tx, operation_id, number)
    if found and found[1] is StepState.QUEUED:
        engine.publisher.publish(operation_id, [found[0]])


def _publish(engine: Engine, operation_id: int, due: Iterable[Due], at: float) -> None:
    now = clock.now()
    won: list[StepTask] = []
    with engine.database.write() as tx:
        operation = lock_operation(tx, operation_id)
        if operation is None or operation.completion not in CLAIMABLE:
            return
        for one in due:
            again = now + engine.republish_after * 2.0 ** min(one.publishes + 1, _DOUBLINGS)
            step = queue_again(tx, operation_id, one.number, one.publishes, now=at, due_at=again)
            won += [step] if step else []
    if won:
        engine.tallies.count(REPUBLISHED, times=len(won))
    engine.publisher.publish_all(operation_id, won)
