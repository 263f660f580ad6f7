"""Whether a worker still hears its broker: one that idles beside a full queue is deaf, and ends itself."""

from __future__ import annotations

import logging
import os
import signal
from typing import TYPE_CHECKING, Final

from celery.worker import state

from app import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from app.execution.engine import Engine

#: Looks in a row at which it must be found deaf: a message that has just come may be on its way.
_LOOKS: Final = 3
#: Seconds between two looks at the least.
_APART: Final = 1.0

_log: Final = logging.getLogger(__name__)


class Attention:
    """Looked after by the sweeper, in the worker's main process."""

    def __init__(self, engine: Engine, queues: Collection[str], is_connected: Callable[[], bool]) -> None:
        self._engine = engine
        self._is_connected = is_connected
        self._queues = tuple(queues)
        self._heard = 0
        self._looked_at = clock.monotonic()
        self._deaf = 0

    def look(self) -> None:
        """End this worker when it has been found deaf too often; whoever keeps it starts it anew."""
        if clock.monotonic() - self._looked_at < max(_APART, self._engine.lease / _LOOKS):
            return
        self._looked_at = clock.monotonic()
        self._deaf = self._deaf + 1 if self._is_deaf() else 0
        if self._deaf >= _LOOKS:
            _log.critical("this worker idles although messages wait for it: it ends, to be started anew")
            os.kill(os.getpid(), signal.SIGTERM)

    def _is_deaf(self) -> bool:
        heard, self._heard = self._heard, state.all_total_count[0]
        is_busy = heard != self._heard or bool(state.reserved_requests) or bool(state.active_requests)
        if is_busy or not self._is_connected():
            return False
        return any(self._engine.publisher.depth(queue) for queue in self._queues)
