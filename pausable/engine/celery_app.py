"""The Celery app of the service: its settings, and the engine that its tasks find on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from celery import Celery, current_app

from pausable.canvas.task import Step
from pausable.config import broker_address, broker_options
from pausable.db.database import Database
from pausable.documents.signing import Keys
from pausable.engine.ask import tell
from pausable.engine.engine import Engine
from pausable.engine.metrics import Metrics
from pausable.engine.notices import Notices
from pausable.engine.policies import Policies
from pausable.engine.publish import Publisher
from pausable.results.remote import store_at

if TYPE_CHECKING:
    from pausable.config import Settings

#: Seconds after which the broker counts as silent: no web thread waits longer for it.
_SILENCE = 1.0

#: What is the same everywhere.
_CONFIGURATION: Final[dict[str, Any]] = {
    "imports": ("pausable.engine.tasks", "pausable.canvas.pause"),
    "task_default_queue": "operations",
    # What a step sends by itself has no result that anybody keeps: to wait for one raises, where Celery would else
    # give None for it at once.
    "task_ignore_result": False,
    # Recovery is the engine's: a message that is delivered again by the broker would only be refused.
    "task_acks_late": False,
    "worker_prefetch_multiplier": 1,
    "worker_deduplicate_successful_tasks": False,
    "worker_enable_remote_control": True,
    "worker_hijack_root_logger": False,
    "task_serializer": "json",
    "worker_consumer": "pausable.worker.consumer:ValidatingConsumer",
    "accept_content": ["json"],
    "result_accept_content": ["json"],
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,  # a worker whose broker is gone waits for it, however long that takes
    "broker_connection_timeout": _SILENCE,
    # An unwilling broker is away for a while: Redis after a failover or out of memory, RabbitMQ's refused channels.
    "broker_channel_error_retry": True,
    # What runs was acknowledged before it began: it takes no place of what may be fetched.
    "worker_enable_prefetch_count_reduction": False,
    # `socket_timeout`, `max_retries`: else a broker that hangs or is gone holds whoever publishes.
    "broker_transport_options": {
        "socket_connect_timeout": _SILENCE,
        "socket_timeout": _SILENCE,
        "max_retries": 0,
    },
    "task_publish_retry": False,
}


class OperationsCelery(Celery[Any]):
    """A Celery app that knows the engine its tasks work with."""

    engine: Engine


def make_celery(settings: Settings) -> OperationsCelery:
    """The Celery app for these settings, ready to start operations and to run their steps."""
    app = OperationsCelery("operations", task_cls=Step, broker=broker_address(settings), set_as_current=True)
    options = {**_CONFIGURATION["broker_transport_options"], **broker_options(settings)}
    app.conf.update(_CONFIGURATION, broker_transport_options=options, input_dir=str(settings.input_dir.absolute()))
    database = Database(settings.database_url, synchronous=settings.synchronous)
    policies = Policies(app, edits=settings.edits)
    app.engine = Engine(
        app=app,
        database=database,
        publisher=Publisher(app, database),
        workflow_store=settings.workflow_store.absolute(),
        slice_seconds=settings.slice_seconds,
        slice_steps=settings.slice_steps,
        lease=settings.lease,
        max_losses=settings.max_losses,
        republish_after=settings.republish_after,
        grace=settings.grace,
        metrics=Metrics(database),
        policies=policies,
        results=store_at(settings.results),
        checkpointing=settings.checkpointing,
        notices=Notices(settings.webhook_hosts, policies, tell),
        keys=Keys(settings.document_keys()),
    )
    app.set_default()
    return app


def engine_of(task: Any) -> Engine:
    """The engine of the Celery app that a task belongs to."""
    return cast("OperationsCelery", task.app).engine


def this_engine() -> Engine:
    """The engine of the Celery app that the running task belongs to."""
    proxy: Any = current_app
    return cast("OperationsCelery", proxy._get_current_object()).engine
