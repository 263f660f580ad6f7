"""The service's own Celery tasks: the delivery of a slice, and the two that a pause point calls."""

from __future__ import annotations

from typing import Any

from celery import Task, shared_task

from pausable.db.operations import completion_of
from pausable.documents.patch import SKIP_TASK
from pausable.engine import runner
from pausable.engine.celery_app import engine_of, this_engine
from pausable.engine.documents import snapshot_of, write_document
from pausable.engine.publish import RUN_SLICE
from pausable.errors import OperationNotFound
from pausable.model.identity import CALLBACK_TASK, CLAUSE_TASK
from pausable.model.signals import SUCCESS
from pausable.model.states import Completion


class Delivered(Task[Any, Any]):
    """A task whose deliveries tell the sweeper when their process dies."""

    abstract = True
    Request = "pausable.worker.recovery:Delivery"


@shared_task(name=RUN_SLICE, ignore_result=True, base=Delivered)
def run_slice(operation_id: int, number: int, unmade: str | None = None) -> None:
    """Run what one message stands for: a slice of an operation, from this step on.

    With `unmade`, which names an error, the message of the step itself could not be made: the step has failed.
    """
    if unmade is None:
        runner.run_slice(this_engine(), operation_id, number)
    else:
        runner.fail_unmade(this_engine(), operation_id, number, unmade)


@shared_task(name=CLAUSE_TASK, ignore_result=True, bind=True)
def should_pause(self: Any, retval: Any, operation_id: int) -> bool:  # noqa: ARG001
    """Whether somebody has asked this operation to pause: the clause of the service's own pause points."""
    with engine_of(self).database.glance() as tx:
        return completion_of(tx, operation_id) is Completion.REQUESTING_PAUSE


@shared_task(name=CALLBACK_TASK, ignore_result=True, bind=True)
def save_state(self: Any, retval: Any, remaining: list[dict[str, Any]], operation_id: int) -> dict[str, str]:  # noqa: ARG001
    """Write workflow.json for an operation that pauses; returns the columns that point to the file."""
    engine = engine_of(self)
    with engine.database.read() as tx:
        snapshot = snapshot_of(tx, operation_id)
    if snapshot is None:
        raise OperationNotFound(operation_id)
    return write_document(engine, snapshot)


@shared_task(name=SKIP_TASK, ignore_result=True)
def hand_on(value: Any = None, *_rest: Any, **_more: Any) -> None:
    """What a step calls that a person has skipped: it ends well, with what it was handed."""
    raise SUCCESS("skipped", result=value)
