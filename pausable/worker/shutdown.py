"""Graceful shutdown of a worker: start nothing more, and release everything that it holds within the grace period."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any, Final

from pausable import clock
from pausable.db.claims import held_claims
from pausable.db.workers import stop_worker
from pausable.engine.dispatch import publish_again
from pausable.engine.publish import RUN_SLICE
from pausable.engine.release import hand_back
from pausable.processes import kill
from pausable.worker.consumer import unstarted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pausable.engine.engine import Engine

#: Seconds that the consumer has to stop; kombu waits up to one for the reply to its BRPOP.
_CONSUMER_STOPS: Final = 2.0

#: Seconds for work that follows from releasing claims; an author's callback may hang in it.
_FOLLOW_UP: Final = 1.5

_log: Final = logging.getLogger(__name__)


class Shutdown:
    """A thread that waits for the shutdown of its worker; each worker has one, in its main process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._has_begun = threading.Event()
        self._is_over = threading.Event()
        self._unstarted: set[Any] = set()
        self._thread = threading.Thread(target=self._run, name="shutdown", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def begin(self) -> None:
        """Begin the shutdown; safe to call from a signal handler, since it only reads and sets flags.

        The unstarted deliveries are read here because the consumer forgets them as soon as this thread continues.
        """
        self._engine.shutdown.set()
        self._unstarted = unstarted()
        self._has_begun.set()

    def end(self) -> None:
        """Record that the worker has ended by itself, and publish again what was never started."""
        self._is_over.set()
        if self._has_begun.is_set():
            self._thread.join()

    def _run(self) -> None:
        self._has_begun.wait()
        ends_at = clock.monotonic() + self._engine.grace
        self._republish_deliveries(self._unstarted)
        # A message that was in transit when the signal came is known to the consumer only, until it stops consuming.
        self._engine.shutdown.has_stopped.wait(min(_CONSUMER_STOPS, self._engine.grace))
        self._republish_deliveries((unstarted() | self._engine.shutdown.dropped_deliveries) - self._unstarted)
        if not self._is_over.wait(max(0.0, ends_at - clock.monotonic())):
            self._kill_and_exit()
        self._engine.database.close()

    def _republish_deliveries(self, deliveries: Iterable[Any]) -> None:
        for delivery in deliveries:
            if delivery.name == RUN_SLICE:
                try:
                    publish_again(self._engine, *delivery.args)
                except Exception:  # the database or the broker is gone; the sweep publishes it again later
                    _log.exception("a delivery could not be published again")

    def _kill_and_exit(self) -> None:
        """Kill what still runs after the grace period, release its claims, and exit.

        Threads of this process end with it; another worker then finds its row stopped and releases their claims.
        """
        try:
            self._release_claims()
        except Exception:  # another worker's recovery finds these processes gone
            _log.exception("not every claim could be released")
        finally:
            os._exit(0)

    def _release_claims(self) -> None:
        worker_id = self._engine.incarnation.worker_id
        with self._engine.database.glance() as tx:
            held = [claim for claim in held_claims(tx) if claim.worker_id == worker_id]
        for claim in held:
            if claim.process not in (None, os.getpid()) and kill(claim.process or 0, claim.process_start or 0):
                hand_back(self._engine, claim, is_gone=True, why="its worker left, and its grace was over")
        if self._engine.incarnation.errands:  # a pause may have waited for these claims
            self._engine.incarnation.errands.finish(_FOLLOW_UP)
        if worker_id is not None:
            with self._engine.database.write() as tx:
                stop_worker(tx, worker_id, clock.now())
