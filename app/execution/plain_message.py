"""The message of a slice that asks for nothing of its own: most are, and Celery would make each from nothing."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from celery.utils import uuid
from kombu.utils.json import dumps

from app import clock

if TYPE_CHECKING:
    from celery import Celery

RUN_SLICE: Final = "operations.run_slice"
#: The header of every message that tells when it was published, in seconds since the epoch.
PUBLISHED_AT: Final = "published_at"


class PlainMessage:
    """Made by Celery once, and then with other ids; for kombu's own transports, whose queues need no declaration."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def send(self, producer: Any, operation_id: int, number: int) -> None:
        """Send the step's message to the default queue. Raises kombu's OperationalError when the broker is away."""
        channel, id_ = producer.channel, uuid()
        body = dumps([[operation_id, number], {}, self._made.body[2]])
        headers = {**self._made.headers, "id": id_, "root_id": id_, PUBLISHED_AT: clock.now()}
        properties = {**self._made.properties, "correlation_id": id_, "delivery_mode": 2}
        message = channel.prepare_message(body, 0, "application/json", "utf-8", headers, properties)
        with producer.connection._reraise_as_library_errors():
            channel.basic_publish(message, exchange="", routing_key=self._app.conf.task_default_queue)

    @cached_property
    def _made(self) -> Any:
        amqp: Any = self._app.amqp
        return amqp.as_task_v2(uuid(), RUN_SLICE, (0, 0), {}, argsrepr="", kwargsrepr="")
