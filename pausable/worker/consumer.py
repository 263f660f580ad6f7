"""The worker's Celery consumer: validate messages, and stop consuming while every process is busy with a long step."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from celery import bootsteps
from celery.worker.consumer import Consumer
from kombu.exceptions import DecodeError
from kombu.transport import redis, virtual

from pausable import clock
from pausable.celery_compat import (
    active_deliveries,
    forget_delivery,
    read_popped_message,
    read_start_reports,
    reserved_deliveries,
    restore_message,
    withdraw,
)
from pausable.engine.publish import RUN_SLICE
from pausable.worker.recovery import forget

if TYPE_CHECKING:
    from collections.abc import Callable

_JSON: Final = "application/json"
#: Seconds for the pool's processes to report the messages that they were given.
_REPORTS_COME: Final = 1.0

_log = logging.getLogger(__name__)


class ValidatingConsumer(Consumer):
    """Celery's consumer, with a check of each message before it is handled."""

    app: Any
    task_consumer: Any
    pool: Any
    connection_errors: tuple[type[BaseException], ...]

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], None]:
        """Return the callable that receives each message; it logs and acknowledges one that is not a task call."""
        handle = super().create_task_handler(*args, **options)

        def receive(message: Any) -> None:
            fault = _fault_of(message)
            if fault is None:
                handle(message)
                return
            _log.error("a message was discarded: %s", fault)
            message.ack_log_error(_log, self.connection_errors)

        return receive

    def on_close(self) -> None:
        """Forget the deliveries not given to the pool; in a shutdown, hand them to `Shutdown` to publish again."""
        shutdown = self.app.engine.shutdown
        if shutdown.is_set:  # otherwise a connection was lost, and the consumer restarts
            read_popped_message(getattr(self.task_consumer, "channel", None))
            read_start_reports(self.pool, _REPORTS_COME)
            shutdown.dropped_deliveries = unstarted()
            shutdown.has_stopped.set()
        super().on_close()

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, retrying at most every 2 seconds; Celery itself would back off to half a minute."""
        waits = {"interval_start": 0.5, "interval_step": 0.5, "interval_max": 2}
        conn.ensure_connection = partial(conn.ensure_connection, **waits)
        _replace_qos(conn.transport)
        return super().ensure_connected(conn)


def unstarted() -> set[Any]:
    """Return the deliveries that were taken from the broker but not given to a process of the pool."""
    return reserved_deliveries() - active_deliveries()


class SliceAwareQoS(redis.QoS):
    """Keep kombu's copies of unacknowledged messages in Redis for all tasks except slices.

    The steps table already records slices, and the copy would be half of the cost of a delivery. When the worker ends,
    other messages are put back into their queue; if the broker is gone, the copy remains and kombu's visibility timeout
    puts it back.
    """

    _delivered: Any
    channel: Any

    def append(self, message: Any, delivery_tag: Any) -> None:
        """Record a message that was received."""
        (virtual.QoS if _is_slice(message) else redis.QoS).append(self, message, delivery_tag)

    def ack(self, delivery_tag: Any) -> None:
        """Remove a message that was started."""
        is_slice = _is_slice(self._delivered.get(delivery_tag))
        (virtual.QoS if is_slice else redis.QoS).ack(self, delivery_tag)

    def reject(self, delivery_tag: Any, requeue: bool = False) -> None:
        """Remove a message; with `requeue`, put it back at the head of its queue."""
        message = self._delivered.get(delivery_tag)
        if not _is_slice(message):
            super().reject(delivery_tag, requeue)
            return
        if requeue:
            restore_message(self.channel, message)
        virtual.QoS.ack(self, delivery_tag)

    def restore_unacked(self, client: Any = None) -> None:
        """Put back messages that were not started, except slices, which `Shutdown` publishes again."""
        for tag in [tag for tag, message in self._delivered.items() if _is_slice(message)]:
            del self._delivered[tag]
        try:
            super().restore_unacked(client)
        except Exception as why:  # each transport raises exceptions of its own
            _log.warning(
                "messages that were not started will be put back by the visibility timeout: %s", type(why).__name__
            )
            self._delivered.clear()  # otherwise kombu would write them into a file


def _is_slice(message: Any) -> bool:
    headers = getattr(message, "headers", None)
    return isinstance(headers, dict) and headers.get("task") == RUN_SLICE


def _replace_qos(transport: Any) -> None:
    """Make a virtual transport keep unacknowledged messages without dumping any of them into a file."""
    channel = getattr(transport, "Channel", None)
    if not (isinstance(channel, type) and issubclass(channel, virtual.Channel)):
        return
    changed = {"QoS": SliceAwareQoS} if issubclass(channel, redis.Channel) else {"do_restore": False}
    transport.Channel = type(channel.__name__, (channel,), changed)


def _fault_of(message: Any) -> str | None:
    """Return why the message is not a task call; None if it is one."""
    if message.content_type != _JSON:
        return f"its content type is {str(message.content_type)[:80]!r}, not JSON"
    if not isinstance(message.headers, dict) or not isinstance(message.headers.get("task"), str):
        return "it has no task name"
    try:
        body = message.decode()
    except (DecodeError, ValueError, LookupError, TypeError, RecursionError) as why:
        return f"its body is not JSON ({type(why).__name__})"
    return None if _is_call(body) else "its body is not [args, kwargs, embed]"


def _is_call(body: Any) -> bool:
    match body:
        case [list(), dict(), dict() | None]:
            return True
    return False


#: Seconds after which an unchanged set of running deliveries counts as long-running.
_LONG: Final = 2.0
#: Seconds between two checks while the worker consumes, and while it does not.
_WHILE_CONSUMING, _WHILE_PAUSED = 1.0, 0.05


class Backpressure(bootsteps.StartStopStep):
    """A consumer bootstep that stops consuming while the whole pool is busy; it runs in the consumer's own thread."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._end: Callable[[], object] | None = None

    def start(self, parent: Any) -> None:
        """Start checking the pool; every connection has a consumer of its own and starts anew."""
        self._running: set[Any] = set()
        self._since = clock.monotonic()
        self._is_paused = False
        self._schedule_check(parent)

    def stop(self, parent: Any) -> None:  # noqa: ARG002
        """Stop checking."""
        if self._end:
            self._end()

    def _schedule_check(self, consumer: Any) -> None:
        pause = _WHILE_PAUSED if self._is_paused else _WHILE_CONSUMING
        # Without an event loop the timer runs in its own thread, but the connection belongs to the consumer's thread.
        check = (self._check, (consumer,)) if consumer.hub else (consumer.call_soon, (self._check, consumer))
        self._end = consumer.timer.call_after(pause, *check).cancel

    def _check(self, consumer: Any) -> None:
        tasks = consumer.task_consumer
        if tasks is None or self._is_shutting_down(consumer):
            return
        if self._is_stalled(consumer):
            if not self._is_paused:
                _log.debug("consuming paused: every process of the pool is busy with a long step")
                tasks.cancel()
                self._is_paused = True
            _requeue_unstarted(consumer)
        elif self._is_paused:
            self._is_paused = False
            tasks.consume()
        self._schedule_check(consumer)

    def _is_shutting_down(self, consumer: Any) -> bool:
        return bool(consumer.app.engine.shutdown.is_set)

    def _is_stalled(self, consumer: Any) -> bool:
        """Return whether every process of the pool has been busy with the same delivery for `_LONG` seconds."""
        running = active_deliveries()
        if running != self._running:
            self._running, self._since = running, clock.monotonic()
        return len(running) >= consumer.pool.num_processes and clock.monotonic() - self._since >= _LONG


def _requeue_unstarted(consumer: Any) -> None:
    """Requeue deliveries that were taken and not started.

    A slice that the pool already holds is requeued too: the second claim of its step is refused. Any other task must
    run once, so it is requeued only while it waits outside the pool.
    """
    for delivery in unstarted():
        if withdraw(consumer.controller.semaphore, delivery) or delivery.name == RUN_SLICE:
            delivery.reject(requeue=True)
            forget_delivery(delivery)
            forget(delivery)
