"""Publish again what is due or what the broker lost, and ask whether it can be reached."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from itertools import groupby
from math import inf
from typing import TYPE_CHECKING, Any, Final

from kombu.exceptions import ChannelError, OperationalError

from pausable import clock
from pausable.db.claims import Due, due_steps, unclaimed_steps
from pausable.db.database import isolate
from pausable.db.steps import find_step
from pausable.db.transitions import publish_again as queue_again
from pausable.engine.change import changing
from pausable.engine.metrics import REPUBLISHED
from pausable.engine.publish import is_timed
from pausable.errors import OperationNotFound
from pausable.model.states import CLAIMABLE, StepState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pausable.db.claims import Unclaimed
    from pausable.db.transitions import StepTask
    from pausable.engine.engine import Engine

#: Seconds that the broker has to answer.
_SILENCE: Final = 1.0

#: A key that is written and gone at once, to see that anything can be written.
_PROBE: Final = "operations:probe"

_log: Final = logging.getLogger(__name__)


def reach_broker(engine: Engine) -> None:
    """Connect anew, once, and let Redis write; kombu's own `connect` would try again after two seconds.

    A Redis that answers a ping may be a replica, or have no memory left. Raises whatever the broker's client does.
    """
    options = {"socket_connect_timeout": _SILENCE, "socket_timeout": _SILENCE}
    with engine.app.connection_for_write(transport_options=options, connect_timeout=_SILENCE) as connection:
        transport: Any = connection.transport
        opened = transport.establish_connection()
        try:
            if client := getattr(transport.create_channel(opened), "client", None):
                client.set(_PROBE, "1", px=1)
        finally:
            transport.close_connection(opened)


def broker_answers(engine: Engine) -> bool:
    """Whether the broker answers within a second."""
    try:
        reach_broker(engine)
    except Exception as why:  # each kind of broker has errors of its own; their texts may hold a password
        _log.debug("the broker does not answer (%s)", type(why).__name__)
        return False
    return True


#: Seconds that the broker has to answer for all queues together.


class QueueDepths:
    """Asks from a thread of its own, so that a broker that hangs keeps nobody waiting; one question at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._asking = threading.Lock()
        self._found: dict[str, int] = {}

    def depths(self) -> dict[str, int]:
        """Messages by queue; nothing where the broker is silent."""
        if not self._asking.acquire(blocking=False):
            return {}  # it has not answered the last one yet
        answered = threading.Event()
        threading.Thread(target=self._ask, args=(answered,), name="queue-depth", daemon=True).start()
        return self._found if answered.wait(_SILENCE) else {}

    def _ask(self, answered: threading.Event) -> None:
        try:
            self._found = _depths(self._engine)
        except Exception:  # each kind of broker has errors of its own
            self._found = {}
        finally:
            self._asking.release()
            answered.set()


def _depths(engine: Engine) -> dict[str, int]:
    options = {"socket_connect_timeout": _SILENCE, "socket_timeout": _SILENCE}
    with engine.app.connection_for_write(transport_options=options, connect_timeout=_SILENCE) as connection:
        transport = connection.transport
        opened = transport.establish_connection()
        try:
            return {queue: _depth(transport, opened, queue) for queue in sorted(_queues(engine))}
        finally:
            transport.close_connection(opened)


def _depth(transport: Any, connection: Any, queue: str) -> int:
    """A queue that nobody has declared holds nothing; saying so ends the channel, so each is asked on its own."""
    channel = transport.create_channel(connection)
    try:
        return int(channel.queue_declare(queue=queue, passive=True).message_count)
    except (ChannelError, OperationalError, *transport.channel_errors):
        return 0


def _queues(engine: Engine) -> set[str]:
    """The queue of most steps, those that this app consumes or routes to, and those that tasks have of their own."""
    own = {getattr(task, "queue", None) for task in engine.app.tasks.values()}
    return {
        engine.app.conf.task_default_queue,
        *engine.app.amqp.queues,
        *(name for name in own if isinstance(name, str)),
    }


#: Steps that one sweep publishes at the most.
_PUBLISHED_AT_ONCE: Final = 500
#: The wait until a step is published again doubles so often at the most.
_DOUBLINGS: Final = 6
#: Seconds within which a step that is due is left to that: it may not have been published yet.
_SOON: Final = 2.0
#: Seconds that a worker has to claim a step whose message it has taken.
_TAKING: Final = 2.0


def publish_due(engine: Engine) -> None:
    """Publish every step whose time has come."""
    with engine.database.glance() as tx:
        due = sorted(due_steps(tx, clock.now(), _PUBLISHED_AT_ONCE), key=lambda one: one.operation_id)
    for operation_id, group in groupby(due, lambda one: one.operation_id):
        with isolate(operation_id, "publishing what is due"):
            _publish(engine, operation_id, list(group), clock.now())


def publish_lost(engine: Engine) -> None:
    """Publish what was published before and is in its queue no more, though nobody has claimed it.

    Its message was lost with a worker or a broker, or waits behind a long step in a worker that took it too early. One
    that is still in somebody's hands does no harm: the second claim is refused.
    """
    now, wait = clock.now() + _SOON, engine.republish_after
    with engine.database.glance() as tx:
        found = unclaimed_steps(tx, now=now, before=clock.now() - _TAKING, wait=wait, limit=_PUBLISHED_AT_ONCE)
    begins: dict[str, float] = {}
    for one in found:
        with isolate(one.due.operation_id, "publishing what was lost"):
            if _is_lost(engine, one, begins):
                _publish(engine, one.due.operation_id, [one.due], inf)


def _is_lost(engine: Engine, one: Unclaimed, begins: dict[str, float]) -> bool:
    """Whether a step's message is in its queue no more; `begins` keeps where each queue begins."""
    queue = None if is_timed(one.step.call) else engine.publisher.queue_of(one.step)
    if queue is None:
        return False
    if queue not in begins:
        begins[queue] = _begins_at(engine, queue)
    return one.published_at < begins[queue] - _TAKING


def _begins_at(engine: Engine, queue: str) -> float:
    """When the oldest message of a queue was published, as far as that is known: no older one is in it any more."""
    depth = engine.publisher.depth(queue)
    if not depth:
        return inf if depth == 0 else 0.0
    return engine.publisher.oldest(queue) or 0.0


def publish_again(engine: Engine, operation_id: int, number: int) -> None:
    """Give a delivery back to the broker that this worker does not run: for another to take."""
    with engine.database.glance() as tx:
        found = find_step(tx, operation_id, number)
    if found and found[1] is StepState.QUEUED:
        engine.publisher.publish(operation_id, [found[0]])


def _publish(engine: Engine, operation_id: int, due: Iterable[Due], at: float) -> None:
    now = clock.now()
    won: list[StepTask] = []
    with suppress(OperationNotFound), changing(engine, operation_id) as op:
        for one in due if op.operation.completion in CLAIMABLE else ():
            again = now + engine.republish_after * 2.0 ** min(one.publishes + 1, _DOUBLINGS)
            step = queue_again(op.tx, operation_id, one.number, one.publishes, now=at, due_at=again)
            won += [step] if step else []
    if won:
        engine.metrics.count(REPUBLISHED, times=len(won))
    engine.publisher.publish_all(operation_id, won)
