"""How much a worker takes from its broker: nothing while all processes of its pool are busy for long.

Celery takes a message for each process of the pool ahead. Behind short steps that saves a round trip. Behind long ones
it keeps the message from workers that are idle, and RabbitMQ closes the channel of a consumer that has not
acknowledged a message for half an hour (`consumer_timeout`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from celery import bootsteps
from celery.worker import state

from app import clock
from app.execution.consuming import unstarted
from app.execution.deliveries import forget
from app.execution.plain_message import RUN_SLICE

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds after which processes that are busy with the same deliveries count as busy for long.
_LONG: Final = 2.0
#: Seconds between two looks while messages are taken, and while none are.
_OPEN, _CLOSED = 1.0, 0.05

_log: Final = logging.getLogger(__name__)


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
