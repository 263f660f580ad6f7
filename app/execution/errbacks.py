"""`link_error`: the author's errbacks of a failed step, called as Celery calls them once the failure is recorded."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from celery.app.task import Context

from app.domain.states import StepState
from app.execution.exits import is_of_the_code
from app.execution.values import decode

if TYPE_CHECKING:
    from celery import Celery

    from app.execution.settling import Ended

_log = logging.getLogger(__name__)


def call_errbacks(app: Celery, operation_id: int, ended: Ended) -> None:
    """Call the errbacks of a failed step; an errback that cannot be called is logged, the operation has its error."""
    if ended.ending.state is not StepState.FAILED:
        return
    errbacks = decode(ended.step.signature).get("options", {}).get("link_error")
    if not errbacks:
        return
    step, (args, kwargs) = ended.step, ended.ending.called_with
    request = Context(
        id=f"{operation_id}-{step.slug}",
        task=step.task,
        args=args,
        kwargs=kwargs,
        retries=step.retries,
        errbacks=errbacks,
        root_id=str(operation_id),
        delivery_info={},
    )
    traceback = (decode(ended.ending.error) or {}).get("traceback")
    backend: Any = app.backend
    try:
        backend._call_task_errbacks(request, ended.ending.exception, traceback)
    except BaseException as why:  # an author's function, which is called here and now
        if not is_of_the_code(why):
            raise
        _log.exception("an errback of step %s of operation %s could not be called", ended.step.slug, operation_id)
