"""`link_error`: the author's error callbacks, called as Celery calls them once it is recorded how a step has ended.

Those of a failed step are told of its own error. Those of a chord's body are told once, when all members of its header
have ended and one has failed, of a `ChordError`; the members have nothing to do with them.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

from celery.app.task import Context
from celery.exceptions import ChordError

from app.domain.family import hears_of_header, ids_of
from app.domain.graph import numbers_in
from app.domain.states import StepState
from app.execution.exits import is_of_the_code
from app.execution.requests import request_of, seed_of
from app.execution.values import decode
from app.processes import ending_children
from app.store.endings import failed_before, first_bad_before
from app.store.operations import find_operation

if TYPE_CHECKING:
    from app.execution.engine import Engine
    from app.execution.settling import Ended

_log = logging.getLogger(__name__)
_S: Final = StepState


def call_errbacks(engine: Engine, operation_id: int, ended: Ended) -> None:
    """Call the error callbacks of a step; one that cannot be called is logged, the operation has its error."""
    call = ended.step.call
    if not call.get("options", {}).get("link_error") or ended.ending.state not in (_S.FAILED, _S.TRIGGER_FAILED):
        return
    if ended.ending.state is _S.TRIGGER_FAILED and not (
        hears_of_header(call) and _is_of_header(engine, operation_id, ended)
    ):
        return
    backend: Any = engine.app.backend
    try:
        told = _told(engine, operation_id, ended)
        with ending_children():
            backend._call_task_errbacks(*told)
    except BaseException as why:  # an author's function, which is called here and now
        if not is_of_the_code(why):
            raise
        _log.exception(
            "an error callback of step %s of operation %s could not be called", ended.step.slug, operation_id
        )


def _is_of_header(engine: Engine, operation_id: int, ended: Ended) -> bool:
    """Whether a member of the header before a chord's body has failed, rather than what all members waited for.

    What failed before the header is what keeps its first branch from running and its last one too; nothing in it is.
    """
    branches = json.loads(ended.step.inputs or "null")
    if not isinstance(branches, list) or len(branches) == 1:
        return True
    ends = [next(numbers_in(branch), None) for branch in (branches[0], branches[-1])]
    with engine.database.glance() as tx:
        every = failed_before(tx, operation_id, ended.step.number)
        shared = [failed_before(tx, operation_id, end) for end in ends if end is not None]
    return not every or not every <= set.intersection(every, *shared)


def _told(engine: Engine, operation_id: int, ended: Ended) -> tuple[Context, Any, str | None]:
    """The request, the error and its traceback that error callbacks are called with."""
    call = decode(ended.step.signature)
    request = request_of(engine, operation_id, ended.step) | {"errbacks": call["options"]["link_error"]}
    if ended.ending.state is _S.TRIGGER_FAILED:
        request |= {"args": call.get("args", []), "kwargs": call.get("kwargs", {})}
        return Context(request), _chord_error(engine, operation_id, ended), None
    args, kwargs = ended.ending.called_with
    traceback = (decode(ended.ending.error) or {}).get("traceback")
    return Context(request, args=args, kwargs=kwargs), ended.ending.exception, traceback


def _chord_error(engine: Engine, operation_id: int, ended: Ended) -> ChordError:
    """The error of a chord, in Celery's words: which member of its header has failed, and with what."""
    with engine.database.glance() as tx:
        found = first_bad_before(tx, operation_id, ended.step.number)
        operation = find_operation(tx, operation_id)
    if found is None:
        return ChordError(ended.ending.message)
    slug, call, error = found
    facts = decode(error) or decode(operation.error if operation else None) or {}
    member = ids_of(seed_of(engine.database, operation_id), slug, call).own
    return ChordError(f"Dependency {member} raised {facts.get('type')}({facts.get('message')!r})")
