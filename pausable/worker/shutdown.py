"""How a worker leaves when it is told to: nothing is started any more, and all it holds is handed back in time."""

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

#: Seconds that the worker has to close its ears; kombu waits up to one for what it has asked Redis for.
_LATECOMERS: Final = 2.0

#: Seconds that what follows from handing back may take: an author's callback may hang in it.
_ERRANDS: Final = 1.5

_log: Final = logging.getLogger(__name__)


class Shutdown:
    """A thread that waits for the worker to be told to leave; there is one for each worker, in its main process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._told = threading.Event()
        self._is_over = threading.Event()
        self._unstarted: set[Any] = set()
        self._thread = threading.Thread(target=self._run, name="departure", daemon=True)

    def start(self) -> None:
        """Begin to wait."""
        self._thread.start()

    def begin(self) -> None:
        """Leave; called from a signal's handler, so it only looks and sets flags.

        It looks here and now: the consumer forgets what was not started as soon as this thread goes on.
        """
        self._engine.leaving.set()
        self._unstarted = unstarted()
        self._told.set()

    def end(self) -> None:
        """Note that all has ended by itself, and hand back what was never started."""
        self._is_over.set()
        if self._told.is_set():
            self._thread.join()

    def _run(self) -> None:
        self._told.wait()
        ends_at = clock.monotonic() + self._engine.grace
        self._hand_back_deliveries(self._unstarted)
        # One that was on its way when the signal came is in the consumer's hands alone until that takes no more.
        self._engine.leaving.is_deaf.wait(min(_LATECOMERS, self._engine.grace))
        self._hand_back_deliveries((unstarted() | self._engine.leaving.forgotten) - self._unstarted)
        if not self._is_over.wait(max(0.0, ends_at - clock.monotonic())):
            self._leave_at_once()
        self._engine.database.close()

    def _hand_back_deliveries(self, deliveries: Iterable[Any]) -> None:
        for delivery in deliveries:
            if delivery.name == RUN_SLICE:
                try:
                    publish_again(self._engine, *delivery.args)
                except Exception:  # the database or the broker is gone: it is published again in its time
                    _log.exception("a delivery was not handed back")

    def _leave_at_once(self) -> None:
        """The grace is over: kill what still runs, and only then hand it back.

        What runs in a thread of this very process ends with it: others find it gone, and that it had ended in order.
        """
        try:
            self._hand_back_claims()
        except Exception:  # whoever sweeps finds these processes gone
            _log.exception("not all that ran was handed back")
        finally:
            os._exit(0)

    def _hand_back_claims(self) -> None:
        worker_id = self._engine.incarnation.worker_id
        with self._engine.database.glance() as tx:
            held = [claim for claim in held_claims(tx) if claim.worker_id == worker_id]
        for claim in held:
            if claim.process not in (None, os.getpid()) and kill(claim.process or 0, claim.process_start or 0):
                hand_back(self._engine, claim, is_gone=True, why="its worker left, and its grace was over")
        if self._engine.incarnation.errands:  # a pause may have waited for what was handed back
            self._engine.incarnation.errands.finish(_ERRANDS)
        if worker_id is not None:
            with self._engine.database.write() as tx:
                stop_worker(tx, worker_id, clock.now())
