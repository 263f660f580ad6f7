"""The thread of a worker that recovers what is lost; it waits for nobody's code and for no file."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from app.execution.recovery import Recovery

if TYPE_CHECKING:
    from app.execution.attention import Attention
    from app.execution.engine import Engine
    from app.execution.recovery import IsAtWork

_log: Final = logging.getLogger(__name__)


class Recoverer:
    """Looks at all claims several times in a lease, until it is stopped; one for each worker, in its main process."""

    def __init__(self, engine: Engine, attention: Attention | None = None, is_at_work: IsAtWork | None = None) -> None:
        self._engine = engine
        self._attention = attention
        self.recovery = Recovery(engine, is_at_work)
        self._called = threading.Event()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="recovery", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def call(self) -> None:
        """Look now: a process has died, or is about to."""
        self._called.set()

    def stop(self) -> None:
        """Look no more."""
        self._is_stopped = True
        self._called.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_stopped:
            for look in (self.recovery.look, self._look_aside):
                try:
                    look()
                except Exception:  # the database is locked or gone: the next look may find it again
                    _log.exception("a look at the claims failed")
            self._called.wait(self._engine.period())
            self._called.clear()
        self._engine.database.close()

    def _look_aside(self) -> None:
        if self._engine.incarnation.errands:
            self._engine.incarnation.errands.look()
        if self._attention:
            self._attention.look()
