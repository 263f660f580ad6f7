"""The heart of a worker: a counter in the table, raised from a thread of its own that waits for nothing else.

It also enters the worker in the table, where the start could not, and again where its row has vanished.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from pausable import clock
from pausable.db.workers import beat

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pausable.engine.engine import Engine

_log: Final = logging.getLogger(__name__)


class Heartbeat:
    """Beats for all processes of a worker until it is stopped, several times in a lease."""

    def __init__(self, engine: Engine, queues: Callable[[], Collection[str] | None] = lambda: None) -> None:
        self._engine = engine
        self._queues = queues
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Beat no more."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                self._beat()
            except Exception:  # the database is locked or gone: the next beat may find it again
                _log.exception("a heartbeat was not written")
            if self._stopped.wait(self._engine.period()):
                break
        self._engine.database.close()

    def _beat(self) -> None:
        engine, queues = self._engine, self._queues()
        if engine.incarnation.worker_id is not None and not self._is_written(engine.incarnation.worker_id, queues):
            _log.warning("this worker's row in the table is gone: it is entered again")
            engine.incarnation.worker_id = None
        if engine.incarnation.worker_id is None and engine.incarnation.is_worker:
            engine.register(queues)
        engine.incarnation.beat_at = clock.monotonic()

    def _is_written(self, worker_id: int, queues: Collection[str] | None) -> bool:
        with self._engine.database.write(survives_power_cut=False) as tx:
            return beat(tx, worker_id, clock.now(), queues)
