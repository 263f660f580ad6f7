"""What a worker takes from its broker: which messages count, and nothing while all processes are busy for long."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from celery import bootsteps
from celery.worker import state
from celery.worker.consumer import Consumer
from kombu.exceptions import DecodeError
from kombu.transport import redis, virtual

from pausable import clock
from pausable.engine.publish import RUN_SLICE
from pausable.worker.recovery import forget

if TYPE_CHECKING:
    from collections.abc import Callable

_JSON: Final = "application/json"

_log = logging.getLogger(__name__)


class CarefulConsumer(Consumer):
    """Celery's consumer behind a look at what a message is made of."""

    app: Any
    task_consumer: Any
    connection_errors: tuple[type[BaseException], ...]

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], None]:
        """What is called with each message."""
        handle = super().create_task_handler(*args, **options)

        def receive(message: Any) -> None:
            fault = _fault_of(message)
            if fault is None:
                handle(message)
                return
            _log.error("a message was thrown away: %s", fault)
            message.ack_log_error(_log, self.connection_errors)

        return receive

    def on_close(self) -> None:
        """Forget all deliveries that were not given to the pool; whoever leaves has them handed back."""
        leaving = self.app.engine.leaving
        if leaving.is_set:  # else a connection was lost, and the consumer begins anew
            _receive_what_was_popped(self.task_consumer)
            leaving.forgotten = unstarted()
            leaving.is_deaf.set()
        super().on_close()

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, however long that takes; Celery's own would look up to half a minute too late."""
        waits = {"interval_start": 0.5, "interval_step": 0.5, "interval_max": 2}
        conn.ensure_connection = partial(conn.ensure_connection, **waits)
        _keep_unstarted(conn.transport)
        return super().ensure_connected(conn)


def unstarted() -> set[Any]:
    """The deliveries that this worker has taken from the broker and not given to a process of its pool."""
    return set(state.reserved_requests) - set(state.active_requests)


def _receive_what_was_popped(consumer: Any) -> None:
    """Take the message that Redis may have given up already: kombu asks for one ahead, and reads the answer late."""
    channel: Any = getattr(consumer, "channel", None)
    if getattr(channel, "_in_poll", None):
        try:
            channel._brpop_read()
        except Exception as why:  # there was none, or the broker is gone
            _log.debug("nothing was on its way: %s", type(why).__name__)


class SparingQoS(redis.QoS):
    """Kombu's copies in Redis of what was taken and not begun: of any task but a slice, which the table has.

    For a slice such a copy would be half of what its delivery costs. What is left of the others when the worker ends is
    put back into its queue; where the broker is gone it stays with the copies, and kombu's visibility time-out puts it
    back.
    """

    _delivered: Any
    channel: Any

    def append(self, message: Any, delivery_tag: Any) -> None:
        """Note a message that was taken."""
        (virtual.QoS if _is_slice(message) else redis.QoS).append(self, message, delivery_tag)

    def ack(self, delivery_tag: Any) -> None:
        """Forget a message that was begun."""
        is_slice = _is_slice(self._delivered.get(delivery_tag))
        (virtual.QoS if is_slice else redis.QoS).ack(self, delivery_tag)

    def reject(self, delivery_tag: Any, requeue: bool = False) -> None:
        """Forget a message; with `requeue`, put it back in front of all others."""
        message = self._delivered.get(delivery_tag)
        if not _is_slice(message):
            super().reject(delivery_tag, requeue)
            return
        if requeue:
            sent = message.delivery_info
            with self.channel.conn_or_acquire() as client:
                self.channel._do_restore_message(message.serializable(), sent["exchange"], sent["routing_key"], client)
        virtual.QoS.ack(self, delivery_tag)

    def restore_unacked(self, client: Any = None) -> None:
        """Put back what was not begun, but for slices: whoever leaves hands those back."""
        for tag in [tag for tag, message in self._delivered.items() if _is_slice(message)]:
            del self._delivered[tag]
        try:
            super().restore_unacked(client)
        except Exception as why:  # each kind of broker has errors of its own
            _log.warning("messages that were not begun are put back later: %s", type(why).__name__)
            self._delivered.clear()  # or kombu would write them into a file


def _is_slice(message: Any) -> bool:
    headers = getattr(message, "headers", None)
    return isinstance(headers, dict) and headers.get("task") == RUN_SLICE


def _keep_unstarted(transport: Any) -> None:
    """Have a virtual transport keep what its channels have taken, without a file of what it cannot put back."""
    channel = getattr(transport, "Channel", None)
    if not (isinstance(channel, type) and issubclass(channel, virtual.Channel)):
        return
    changed = {"QoS": SparingQoS} if issubclass(channel, redis.Channel) else {"do_restore": False}
    transport.Channel = type(channel.__name__, (channel,), changed)


def _fault_of(message: Any) -> str | None:
    """Why this is no call of a task, if it is none."""
    if message.content_type != _JSON:
        return f"it is {str(message.content_type)[:80]!r}, not JSON"
    if not isinstance(message.headers, dict) or not isinstance(message.headers.get("task"), str):
        return "it names no task"
    try:
        body = message.decode()
    except (DecodeError, ValueError, LookupError, TypeError, RecursionError) as why:
        return f"it is not JSON ({type(why).__name__})"
    return None if _is_call(body) else "it is no call of a task"


def _is_call(body: Any) -> bool:
    match body:
        case [list(), dict(), dict() | None]:
            return True
    return False


#: Seconds after which processes that are busy with the same deliveries count as busy for long.
_LONG: Final = 2.0
#: Seconds between two looks while messages are taken, and while none are.
_OPEN, _CLOSED = 1.0, 0.05


class Intake(bootsteps.StartStopStep):
    """A step of the consumer's start: closes and opens what it takes, from its own thread."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._end: Callable[[], object] | None = None

    def start(self, parent: Any) -> None:
        """Begin to look at what the pool is busy with; each connection has a consumer of its own, and begins anew."""
        self._running: set[Any] = set()
        self._since = clock.monotonic()
        self._is_closed = False
        self._look_later(parent)

    def stop(self, parent: Any) -> None:  # noqa: ARG002
        """Look no more."""
        if self._end:
            self._end()

    def _look_later(self, consumer: Any) -> None:
        pause = _CLOSED if self._is_closed else _OPEN
        # Without an event loop, the timer has a thread of its own; the connection belongs to the consumer's.
        look = (self._look, (consumer,)) if consumer.hub else (consumer.call_soon, (self._look, consumer))
        self._end = consumer.timer.call_after(pause, *look).cancel

    def _look(self, consumer: Any) -> None:
        tasks = consumer.task_consumer
        if tasks is None or self._is_leaving(consumer):
            return
        if self._is_stalled(consumer):
            if not self._is_closed:
                _log.debug("no messages are taken: all processes are busy with long steps")
                tasks.cancel()
                self._is_closed = True
            _give_back(consumer)
        elif self._is_closed:
            self._is_closed = False
            tasks.consume()
        self._look_later(consumer)

    def _is_leaving(self, consumer: Any) -> bool:
        return bool(consumer.app.engine.leaving.is_set)

    def _is_stalled(self, consumer: Any) -> bool:
        """Whether every process of the pool is busy with the same delivery for long."""
        running = set(state.active_requests)
        if running != self._running:
            self._running, self._since = running, clock.monotonic()
        return len(running) >= consumer.pool.num_processes and clock.monotonic() - self._since >= _LONG


def _give_back(consumer: Any) -> None:
    """Give back what was taken and not begun.

    A slice that the pool has already is given back as well: whoever claims its step second is refused. Any other
    message runs once, so it is given back only while it waits outside the pool.
    """
    for delivery in unstarted():
        if _withdraw(consumer, delivery) or delivery.name == RUN_SLICE:
            delivery.reject(requeue=True)
            state.task_ready(delivery)
            forget(delivery)


def _withdraw(consumer: Any, delivery: Any) -> bool:
    """Remove a delivery from those that wait for a process of the pool; return whether it was one of them."""
    semaphore = consumer.controller.semaphore
    if semaphore is None:
        return False
    for waiter in semaphore._waiting:
        _, args, _ = waiter
        if args and args[-1] is delivery:
            semaphore._waiting.remove(waiter)
            return True
    return False
