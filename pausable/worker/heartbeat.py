"""The heartbeat of a worker: a counter in its row, incremented by a thread that waits for nothing else.

The thread also registers the worker if that failed at startup, and again if its row was deleted.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from pausable import clock
from pausable.db.workers import record_heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pausable.engine.engine import Engine

_log: Final = logging.getLogger(__name__)


class Heartbeat:
    """Writes the heartbeat of a worker, for all processes of its pool, several times per lease until it is stopped."""

    def __init__(self, engine: Engine, queues: Callable[[], Collection[str] | None] = lambda: None) -> None:
        self._engine = engine
        self._queues = queues
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait for it."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                self._beat()
            except Exception:  # the database is locked or unreachable; the next beat tries again
                _log.exception("the heartbeat could not be written")
            if self._stopped.wait(self._engine.period()):
                break
        self._engine.database.close()

    def _beat(self) -> None:
        engine, queues = self._engine, self._queues()
        if engine.incarnation.worker_id is not None and not self._is_written(engine.incarnation.worker_id, queues):
            _log.warning("this worker's row was deleted from the workers table; registering again")
            engine.incarnation.worker_id = None
        if engine.incarnation.worker_id is None and engine.incarnation.is_worker:
            engine.register(queues)
        engine.incarnation.beat_at = clock.monotonic()

    def _is_written(self, worker_id: int, queues: Collection[str] | None) -> bool:
        with self._engine.database.write(survives_power_cut=False) as tx:
            return record_heartbeat(tx, worker_id, clock.now(), queues)
