"""A Celery app without the service: tasks to build canvases of, and clauses and callbacks that leave marks in Redis.

`celery -A tests.execution.pause_app worker` takes the arguments of `make_app` from PAUSE_APP, as JSON.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from celery import Celery, Task, current_app, shared_task

from pausable.canvas import pause
from tests import canvases

if TYPE_CHECKING:
    from celery.app.task import Context


def make_app(broker_url: str, serializer: str = "json", **settings: Any) -> Celery:
    """An app whose messages and results all go through one serializer."""
    celery = Celery("pause_app", broker=broker_url, backend=broker_url, set_as_current=False)
    ours: dict[str, Any] = {
        "task_serializer": serializer,
        "result_serializer": serializer,
        "accept_content": [serializer, "json"],
        "task_allow_error_cb_on_chord_header": True,
        "imports": [pause.__name__, canvases.__name__],
    }
    celery.conf.update(ours | settings)
    return celery


@shared_task
def add(x: int, y: int) -> int:
    return x + y


@shared_task
def double(x: int) -> int:
    return 2 * x


@shared_task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@shared_task
def listed(value: Any, more: Any = None) -> list[Any]:
    return [value, more]


@shared_task
def nothing(*_given: Any) -> None:
    return None


@shared_task
def seven() -> int:
    return 7


@shared_task
def fail(*_given: Any) -> None:
    raise ArithmeticError("no such number")


@shared_task(bind=True)
def replaced(self: Task[Any, Any], x: int) -> Any:
    return self.replace(add.s(x, 10) | add.s(100))


@shared_task(bind=True)
def mark(self: Task[Any, Any], value: Any, key: str) -> Any:
    _marks(self).rpush(f"{key}:marks", json.dumps(value))
    return value


@shared_task(bind=True)
def due(self: Task[Any, Any], retval: Any, key: str, asks: list[int]) -> bool:
    """A clause: it says to pause the first, third... time it is asked, as `asks` names them, counted from 1."""
    _marks(self).rpush(f"{key}:asked", json.dumps(retval))
    return _marks(self).llen(f"{key}:asked") in asks


@shared_task(bind=True)
def keep(self: Task[Any, Any], retval: Any, remaining: list[dict[str, Any]], key: str) -> None:
    """A callback: it keeps what a resume needs, as text."""
    _marks(self).rpush(f"{key}:paused", json.dumps([retval, remaining]))


@shared_task
def broken(*_given: Any) -> bool:
    """A clause, or a callback, that cannot answer."""
    raise LookupError("the answer is not to be had")


@shared_task
def note(request: Context, exception: Exception, _traceback: Any, key: str) -> None:
    """An error callback."""
    results: Any = current_app.backend
    results.client.rpush(f"{key}:errors", json.dumps([request.id, str(exception)]))


def _marks(task: Task[Any, Any]) -> Any:
    results: Any = task.app.backend
    return results.client


if "PAUSE_APP" in os.environ:
    app = make_app(**json.loads(os.environ["PAUSE_APP"]))
