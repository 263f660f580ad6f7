"""Telling state handlers of what they cannot change: a loss, a pause, a cancel. They were written into the outbox."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

from app.domain.states import State
from app.errors import ResultFault
from app.execution.attending import subject_of_step
from app.execution.claiming import call_with, whole_call
from app.execution.exits import is_of_the_code
from app.execution.operation_states import subject_of
from app.execution.signatures import call_of
from app.handlers.base import Subject, name_of
from app.processes import ending_children
from app.store.operations import find_operation
from app.store.step_logs import number_of_slug
from app.store.step_queries import find_step

if TYPE_CHECKING:
    from app.execution.engine import Engine
    from app.store.notifications import Outgoing
    from app.store.operations import Operation
    from app.store.steps import StepTask

_log: Final = logging.getLogger(__name__)


def tell(engine: Engine, row: Outgoing) -> None:
    """Tell the handlers that a row of the outbox is for; what they answer is not asked, what they raise is logged."""
    kind, _, name = row.source.partition(":")
    with engine.database.glance() as tx:
        operation = find_operation(tx, row.operation_id)
    subject = None if operation is None else _subject(engine, operation, row)
    if operation is None or subject is None:
        return
    policy = engine.policies.of_task(name) if kind == "step" else engine.policies.of_operation(operation)
    facts: dict[str, Any] = json.loads(row.facts)
    old, new = (State.deserialize(facts[which]) for which in ("old", "new"))
    for handler in policy.handlers:
        try:
            with ending_children():
                handler(subject, old, new)
        except BaseException as fault:  # the author's code may raise anything, and it can change nothing any more
            if not is_of_the_code(fault):
                raise
            _log.exception("the state handler %s raised on being told of %s", name_of(handler), new)


def _subject(engine: Engine, operation: Operation, row: Outgoing) -> Subject | None:
    if not row.step:
        return subject_of(operation)
    with engine.database.glance() as tx:
        number = number_of_slug(tx, row.operation_id, row.step)
        found = None if number is None else find_step(tx, row.operation_id, number)
    if found is None:
        return None
    return subject_of_step(engine, row.operation_id, found[0], _call(engine, row.operation_id, found[0]))


def _call(engine: Engine, operation_id: int, step: StepTask) -> tuple[list[Any], dict[str, Any]]:
    """What the step was called with; as far as it is known, where a result before it cannot be loaded any more."""
    try:
        return call_with(engine, operation_id, step, {})
    except ResultFault:
        return call_of(whole_call(step))
