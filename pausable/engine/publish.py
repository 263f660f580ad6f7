"""Publish steps: ids only, after the commit, and never for long."""

from __future__ import annotations

import json
import logging
from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from celery.utils import uuid
from kombu.transport import virtual
from kombu.utils.json import dumps

from pausable import clock
from pausable.celery_compat import keep_client, library_errors, queue_size
from pausable.db.database import is_outage
from pausable.db.operations import lock_operation
from pausable.db.transitions import mark_unpublished
from pausable.model.options import OWN_OPTIONS, read_eta
from pausable.model.times import bounded, seconds_of, utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Protocol

    from celery import Celery

    from pausable.db.database import Database


def not_before(call: Mapping[str, Any], now: float) -> float | None:
    """When a step's `countdown` or `eta` lets it start, counted from `now`; None when it may start at once."""
    options = call.get("options")
    if not options:
        return None
    if options.get("countdown"):
        return bounded(now + float(options["countdown"]))
    eta = options.get("eta")
    start = seconds_of(read_eta(eta)) if eta else now
    return start if start > now else None


def is_timed(call: Mapping[str, Any]) -> bool:
    """Whether a step says itself when it starts, by a `countdown` or `eta`."""
    options = call.get("options")
    return bool(options and (options.get("countdown") or options.get("eta")))


def next_publish(call: Mapping[str, Any], now: float, wait: float) -> float:
    """When a step that is queued now is next published by whoever sweeps: after `wait` seconds if it may start now."""
    return not_before(call, now) or now + wait


def earliest(calls: Iterable[Mapping[str, Any]], now: float) -> float | None:
    """When the first of these steps starts that must wait for its own time; None where there is none."""
    return min((start for call in calls if (start := not_before(call, now)) is not None), default=None)


def later(moment: float | None) -> float | None:
    """The moment if it is yet to come, in seconds since the epoch; None for one that has passed, or none."""
    return moment if moment is not None and moment > clock.now() else None


def written(moment: float) -> str:
    """A moment in words for the history: UTC, to the second."""
    return utc(moment).strftime("%Y-%m-%d %H:%M:%SZ")


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
        with library_errors(producer.connection):
            channel.basic_publish(message, exchange="", routing_key=self._app.conf.task_default_queue)

    @cached_property
    def _made(self) -> Any:
        amqp: Any = self._app.amqp
        return amqp.as_task_v2(uuid(), RUN_SLICE, (0, 0), {}, argsrepr="", kwargsrepr="")


if TYPE_CHECKING:

    class Ready(Protocol):
        """A step that may be published: its number and its stored signature."""

        @property
        def number(self) -> int:
            """Its place in the graph."""

        @property
        def call(self) -> dict[str, Any]:
            """What it calls."""


_log = logging.getLogger(__name__)

#: The remote control command by which workers are told that something is due.
WAKE: Final = "wake_sweeper"
#: Options of every message: Celery neither retries it nor describes it, and no task is its parent.
_PLAIN: Final[dict[str, Any]] = {"retry": False, "add_to_parent": False, "argsrepr": "", "kwargsrepr": ""}
#: For this many seconds after a failure the broker is not asked again; what is ready waits in the table.
_OPEN_FOR: Final = 2.0
#: What is raised for a message that cannot be made of a step's options.
_UNMADE: Final = (TypeError, ValueError, AttributeError, LookupError)
#: Messages that are published at once of steps that are ready together: slices go on with the others by themselves.
_AT_ONCE: Final = 32
#: Seconds after which the others are published that nobody has gone on with.
_LATER: Final = 1.0
#: Options of a signature that give its step a message of its own, and travel with that message.
_TRAVELLING: Final = ("queue", "exchange", "routing_key", "priority", "time_limit", "soft_time_limit")


class Publisher:
    """Publishes steps and remembers in the table those that the broker did not take."""

    def __init__(self, app: Celery, database: Database) -> None:
        self._app = app
        self._database = database
        self._broken_until = 0.0
        self._plain = PlainMessage(app)
        self._of_task: dict[str, dict[str, Any]] = {}

    def publish(self, operation_id: int, steps: Iterable[Ready]) -> None:
        """Publish the steps, each in a message of its own; the broker takes all of them or is asked again later.

        Of many, the first: they are due to whoever sweeps a second later, and by then most have run beside these.
        """
        ready = list(steps)
        first, rest = ready[:_AT_ONCE], ready[_AT_ONCE:]
        later = [step for step in rest if not self.own_options(step)]
        if later:
            self._remember(operation_id, later, _LATER)
        self.publish_all(operation_id, first + [step for step in rest if self.own_options(step)])

    def publish_all(self, operation_id: int, steps: Sequence[Ready]) -> None:
        """Publish the steps as `publish` does, however many they are."""
        if left := self._not_taken(operation_id, steps):
            self._remember(operation_id, left, _OPEN_FOR)

    def wake(self) -> None:
        """Have the workers look at what is due; where the broker is away, they do when their next look comes."""
        if clock.monotonic() < self._broken_until:
            return
        try:
            with self._app.producer_or_acquire() as producer:
                self._app.control.broadcast(WAKE, connection=producer.connection)
        except Exception as why:  # whatever a broker's client raises must stop nobody here
            _log.warning("the workers are not told of what is due: %s", type(why).__name__)
            self._broken_until = clock.monotonic() + _OPEN_FOR

    def queue_of(self, step: Ready) -> str | None:
        """The name of the queue that a step's message goes to; None when its signature routes it past names."""
        own = self.own_options(step)
        if "exchange" in own or "routing_key" in own:
            return None
        return str(own.get("queue") or self._app.conf.task_default_queue)

    def depth(self, queue: str) -> int | None:
        """How many messages wait in a queue; None when the broker does not tell."""
        if clock.monotonic() < self._broken_until:
            return None
        try:
            with self._app.producer_or_acquire() as producer:
                return queue_size(producer.channel, queue)
        except Exception as why:
            _log.warning("the broker does not tell how long the queue %s is: %s", queue, why)
            return None

    def oldest(self, queue: str) -> float | None:
        """When the message that waits longest in a queue was published; None when the broker lets nobody look."""
        try:
            with self._app.producer_or_acquire() as producer:
                client = getattr(producer.channel, "client", None)  # Redis: messages enter a list at its other end
                message = client.lindex(queue, -1) if client else None
            return message and float(json.loads(message)["headers"][PUBLISHED_AT])
        except Exception as why:
            _log.debug("the oldest message of the queue %s cannot be read: %s", queue, why)
            return None

    def _remember(self, operation_id: int, steps: Sequence[Ready], seconds: float) -> None:
        try:
            with self._database.write() as tx:
                lock_operation(tx, operation_id)  # like all that changes its steps: in another order two would collide
                mark_unpublished(tx, operation_id, [step.number for step in steps], clock.now() + seconds)
        except Exception as why:
            # What led here is committed. The steps stay queued, and are published again later than they could be.
            if not is_outage(why):
                raise
            _log.warning("steps of operation %s are published later: %s", operation_id, type(why).__name__)

    def own_options(self, step: Ready) -> dict[str, Any]:
        """What a step's message must say of its own: a queue, a priority, a time limit; empty for most."""
        name = step.call["task"]
        if name not in self._of_task:
            self._of_task[name] = self._options_of_task(name)
        options = step.call.get("options")
        if not options:
            return self._of_task[name]
        return self._of_task[name] | {key: options[key] for key in _TRAVELLING if options.get(key) is not None}

    def _options_of_task(self, name: str) -> dict[str, Any]:
        task = self._app.tasks.get(name)
        own = {key: getattr(task, key, None) for key in OWN_OPTIONS}
        routed = self._app.amqp.router.route({}, name)
        queue = routed.get("queue")
        if queue is not None and queue.name != self._app.conf.task_default_queue:
            own["queue"] = queue.name
        return {key: value for key, value in own.items() if value is not None}

    def _not_taken(self, operation_id: int, steps: Sequence[Ready]) -> Sequence[Ready]:
        """Publish the steps; returns those that the broker did not take for now."""
        if not steps or clock.monotonic() < self._broken_until:
            return steps
        try:
            self._send(operation_id, steps)
        except Exception as why:
            # The transaction is committed: whatever a broker's client raises must stop nobody here.
            if isinstance(why, _UNMADE) and any(map(self.own_options, steps)):
                return self._not_taken_each(operation_id, steps, why)
            _log.warning("the broker did not take steps of operation %s: %s", operation_id, why)
            self._broken_until = clock.monotonic() + _OPEN_FOR
            return steps
        return ()

    def _not_taken_each(self, operation_id: int, steps: Sequence[Ready], why: Exception) -> Sequence[Ready]:
        """Publish each step by itself, as the message of one cannot be made: that is no fault of the broker's.

        A worker is told of that step in a message without options, and why: it ends the step as Failed.
        """
        if len(steps) > 1:
            return [left for step in steps for left in self._not_taken(operation_id, [step])]
        _log.error("step %s of operation %s cannot be published: %r", steps[0].number, operation_id, why)
        try:
            with self._app.producer_or_acquire() as producer:
                step, unmade = (operation_id, steps[0].number), {"unmade": type(why).__name__}
                headers = {PUBLISHED_AT: clock.now()}
                self._app.send_task(RUN_SLICE, step, unmade, producer=producer, headers=headers, **_PLAIN)
        except Exception as outage:  # as above
            _log.warning("the broker did not take a step of operation %s: %s", operation_id, outage)
            self._broken_until = clock.monotonic() + _OPEN_FOR
            return steps
        return ()

    def _send(self, operation_id: int, steps: Sequence[Ready]) -> None:
        with self._app.producer_or_acquire() as producer:
            keep_client(producer.channel)
            if len(steps) == 1 and not self.own_options(steps[0]) and isinstance(producer.channel, virtual.Channel):
                self._plain.send(producer, operation_id, steps[0].number)
                return
            with _together(producer, steps):
                headers = {PUBLISHED_AT: clock.now()}
                for step in steps:
                    options = _PLAIN | self.own_options(step) | {"headers": headers}
                    self._app.send_task(RUN_SLICE, (operation_id, step.number), producer=producer, **options)


def _together(producer: Any, steps: Sequence[Ready]) -> AbstractContextManager[object]:
    """One round trip for several messages, where the transport can."""
    if len(steps) > 1 and producer.supports_batch_publish:
        together: AbstractContextManager[object] = producer.batch()
        return together
    return nullcontext()
