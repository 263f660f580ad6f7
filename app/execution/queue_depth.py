"""How many messages wait at the broker: asked of it, within a second, or not known."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from kombu.exceptions import ChannelError, OperationalError

if TYPE_CHECKING:
    from app.execution.engine import Engine

#: Seconds that the broker has to answer for all queues together.
_SILENCE: Final = 1.0


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
