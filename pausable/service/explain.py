"""Explain why an operation does not move."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from pausable import clock
from pausable.db import views as store
from pausable.db.operations import find_operation
from pausable.engine.dispatch import broker_answers
from pausable.engine.publish import is_timed, not_before
from pausable.engine.release import is_here, looked_at_worker
from pausable.errors import OperationNotFound
from pausable.model.explanation import Explanation, Held, Ready, Standing, causes_of
from pausable.model.states import CLAIMABLE, ENDED, Completion, StepState
from pausable.processes import is_gone
from pausable.service.preflight import preflight as findings_of

if TYPE_CHECKING:
    from pausable.db.database import Connection
    from pausable.db.operations import Operation
    from pausable.db.users import User
    from pausable.db.views import Alike
    from pausable.engine.engine import Engine
    from pausable.model.explanation import Finding
    from pausable.service.operations import Commands


def explanation_of(engine: Engine, operation_id: int) -> Explanation:
    """Why the operation does not move. Raises OperationNotFound."""
    with engine.database.read() as tx:
        operation = find_operation(tx, operation_id)
        if operation is None:
            raise OperationNotFound(operation_id)
        standing = _read(engine, tx, operation)
    standing = replace(
        standing,
        held=tuple(map(_looked_at, standing.held)),
        workers=tuple(map(looked_at_worker, standing.workers)),
        broker_answers=not any(one.starts_at is None for one in standing.ready) or broker_answers(engine),
    )
    return causes_of(standing, clock.now())


def _read(engine: Engine, tx: Connection, operation: Operation) -> Standing:
    """What the table tells; of an operation that rests, only what is told of such."""
    standing, completion = _at_rest(engine, tx, operation), operation.completion
    if completion in ENDED:
        return standing
    counts, alike = store.counted(tx, operation.id)
    standing = replace(standing, counts=counts)
    if completion is Completion.PAUSED:
        return standing
    standing = replace(standing, held=store.held(tx, operation.id), workers=store.listening(tx))
    if completion not in CLAIMABLE:
        return standing
    return replace(
        standing,
        ready=tuple(_ready(engine, one) for one in alike),
        retries=store.retries(tx, operation.id) if counts.get(StepState.RETRYING) else (),
        waiting=store.waiting(tx, operation.id) if counts.get(StepState.PENDING) else (),
    )


def _at_rest(engine: Engine, tx: Connection, operation: Operation) -> Standing:
    failure = json.loads(operation.error) if operation.error else {}
    return Standing(
        completion=operation.completion,
        asked=store.asked(tx, operation.id, operation.completion),
        reason=operation.reason,
        failed_step=failure.get("step"),
        fault=": ".join(failure[part] for part in ("type", "message") if failure.get(part)) or None,
        finished_at=operation.finished_at,
        due_at=operation.due_at,
        moved_at=operation.moved_at,
        moved_to=operation.moved_to,
        lease=engine.lease,
        period=engine.period(),
    )


def _ready(engine: Engine, alike: Alike) -> Ready:
    now = clock.now()
    waits = is_timed(alike.call) and not_before(alike.call, now) is not None and alike.publishes == 0
    starts_at = alike.due_at if waits and alike.due_at > now else None
    return Ready(alike.slug, alike.steps, engine.publisher.queue_of(alike), starts_at)


def _looked_at(held: Held) -> Held:
    """With whether its process is gone, where that is a process of this machine as it runs now."""
    if held.process is None or held.process_start is None or not is_here(held):
        return held
    return replace(held, is_gone=is_gone(held.process, held.process_start))


def explain(commands: Commands, requester: User, operation_id: int) -> Explanation:
    """Why the operation does not move. Raises OperationNotFound."""
    commands.show(requester, operation_id)
    return explanation_of(commands.engine, operation_id)


def preflight(commands: Commands, requester: User, operation_id: int) -> tuple[Completion, list[Finding]]:
    """Return where the operation stands and what is found before it goes on, what is in its way first.

    Args:
        commands: The commands of the service.
        requester: Who asks.
        operation_id: The operation.

    Returns:
        The completion, and the findings; of an operation that has ended, none.

    Raises:
        OperationNotFound: There is none that the requester may see.
    """
    completion = commands.show(requester, operation_id).operation.completion
    return completion, findings_of(commands.engine, operation_id)
