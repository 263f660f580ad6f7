"""What a step's code finds as `self.request`: what plain Celery would have put into the message of its task.

Not there is what leads on from a step (`chain`, `callbacks`, `errbacks`, `chord`): that lies in the database.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from celery.utils import uuid

from app import clock
from app.domain.family import ids_of
from app.execution.timing import is_timed
from app.execution.values import decode
from app.processes import this_host
from app.store.lineage import installation_name, is_named

if TYPE_CHECKING:
    from app.execution.engine import Engine
    from app.store.database import Database
    from app.store.steps import StepTask

_NONE: Final[dict[str, Any]] = {}
_names: WeakKeyDictionary[Database, str] = WeakKeyDictionary()


def request_of(engine: Engine, operation_id: int, step: StepTask) -> dict[str, Any]:
    """Return the request of a step, as keywords of Celery's `Context`; its ids stay the same however often it runs."""
    call, app = step.call, engine.app
    options = decode(step.signature)["options"] if call.get("options") else _NONE
    ids = ids_of(seed_of(engine.database, operation_id), step.slug, call)
    message: Any = app.current_worker_task and app.current_worker_task.request
    hostname = message.hostname if message else this_host()
    headers = options.get("headers") or _NONE
    request = {
        **headers,
        "id": ids.own,
        "correlation_id": ids.own,
        "parent_id": ids.parent,
        "root_id": ids.root,
        "group": ids.group,
        "task": step.task,
        "retries": step.retries,
        "operation_id": operation_id,
        "slug": step.slug,
        "hostname": hostname,
        "origin": hostname,
        "delivery_info": {**(message.delivery_info if message else _NONE), "redelivered": step.losses > 0},
        "headers": dict(headers),
        "timelimit": _limits(app.tasks.get(step.task), options),
        "stamps": {},
        "ignore_result": True,
    }
    if ids.group:
        request["group_index"] = call["family"].get("index")
    if options:
        request |= _of_options(options)
    if step.retries or is_timed(call):
        request["eta"] = options.get("eta") or datetime.fromtimestamp(clock.now(), UTC).isoformat()
    if "." in step.slug:
        request["replaced_task_nesting"] = step.slug.count(".")
    return request


def _limits(task: Any, options: dict[str, Any]) -> list[Any]:
    """The hard and the soft time limit, as Celery sends them."""
    return [options.get(name) or getattr(task, name, None) for name in ("time_limit", "soft_time_limit")]


def _of_options(options: dict[str, Any]) -> dict[str, Any]:
    stamped = options.get("stamped_headers")
    told: dict[str, Any] = {"shadow": options.get("shadow"), "stamped_headers": stamped}
    if stamped:
        told["stamps"] = {name: options.get(name) for name in stamped}
    return told


def seed_of(database: Database, operation_id: int) -> str:
    """Return what names an operation of this database everywhere."""
    if (name := _names.get(database)) is None:
        with database.glance() as tx:
            name = installation_name(tx)
        # What runs in memory is gone afterwards: the next that does begins with operation 1 too.
        _names[database] = name = name if is_named(name) else uuid()
    return f"{name}/{operation_id}"
