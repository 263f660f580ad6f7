"""Whether all that the service needs answers: database, migrations, broker, workers, disk, each named."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from app import clock
from app.execution.reaching import reach_broker
from app.store.migrations import is_current
from app.store.workers import last_seen

if TYPE_CHECKING:
    from app.execution.engine import Engine

#: A worker beats every two seconds; one that has not for so many is not counted on.
_RECENTLY: Final = 30.0
#: For so many seconds one answer serves all who ask: nobody needs a token for that, and each answer costs a connection.
_FRESH_FOR: Final = 1.0
#: Seconds after which what has not been found out yet counts as not there: whoever asks has a deadline too.
_PATIENCE: Final = 3.0
#: Bytes that must be free on the disk of an SQLite database: a transaction may need some MiB.
_FREE: Final = 4 * 1024 * 1024

Checks = Mapping[str, Mapping[str, Any]]
_log = logging.getLogger(__name__)


class Readiness:
    """Looks at everything, at the most once a second however many ask."""

    def __init__(self, engine: Engine, patience: float = _PATIENCE, fresh_for: float = _FRESH_FOR) -> None:
        self._engine = engine
        self._patience = patience
        self._fresh_for = fresh_for
        self._asking = threading.Lock()
        self._look: _Look | None = None

    def checks(self) -> Checks:
        """Of each part whether it is `ok`, and a `detail` that is fit for strangers; within `patience` seconds."""
        with self._asking:
            if self._look is None or self._look.is_stale:
                self._look = _Look(self._engine, self._fresh_for)
                self._look.start()
            look = self._look
        look.done.wait(max(0.0, look.begun + self._patience - clock.monotonic()))
        return {name: look.found.get(name, {"ok": False, "detail": no}) for name, (_, _, no) in _PROBES.items()}


class _Look(threading.Thread):
    """One look at everything, in a thread of its own: a database that is silent holds up nobody else."""

    def __init__(self, engine: Engine, fresh_for: float) -> None:
        super().__init__(name="readiness", daemon=True)
        self._engine = engine
        self._fresh_for = fresh_for
        self.begun = clock.monotonic()
        self.done = threading.Event()
        self.found: dict[str, dict[str, Any]] = {}
        self._until = float("inf")

    @property
    def is_stale(self) -> bool:
        """Whether another look is due."""
        return clock.monotonic() >= self._until

    def run(self) -> None:
        """Look at one part after the other; those that need no database come first."""
        try:
            for name, probe in _PROBES.items():
                self.found[name] = _checked(self._engine, *probe)
        finally:
            self._until = clock.monotonic() + self._fresh_for
            self.done.set()
            self._engine.database.close()


def _checked(engine: Engine, is_there: Callable[[Engine], bool], yes: str, no: str) -> dict[str, Any]:
    try:
        ok = is_there(engine)
    except Exception as why:  # whatever a driver of a database or a broker raises; its text may hold a password
        _log.warning("not ready: %s (%s)", no, type(why).__name__)
        ok = False
    return {"ok": ok, "detail": yes if ok else no}


def _database_answers(engine: Engine) -> bool:
    is_current(engine.database)
    return True


def _migrations_are_current(engine: Engine) -> bool:
    return is_current(engine.database)


def _broker_answers(engine: Engine) -> bool:
    reach_broker(engine)
    return True


def _workers_were_seen(engine: Engine) -> bool:
    with engine.database.glance() as tx:
        seen = last_seen(tx)
    return seen is not None and clock.now() - seen <= _RECENTLY


def _disk_has_room(engine: Engine) -> bool:
    file = engine.database.file
    if file is None:  # of a server's disk nothing is known here
        return True
    disk = os.statvfs(Path(file).absolute().parent)
    return disk.f_bavail * disk.f_frsize >= _FREE


_PROBES: Final[Mapping[str, tuple[Callable[[Engine], bool], str, str]]] = {
    "disk": (_disk_has_room, "has room", "the disk of the database is full"),
    "broker": (_broker_answers, "answers", "does not answer within a second, or takes no messages"),
    "database": (_database_answers, "answers", "does not answer"),
    "migrations": (_migrations_are_current, "the schema is the present one", "the schema is not the present one"),
    "workers": (_workers_were_seen, "seen in the last 30 seconds", "none was seen in the last 30 seconds"),
}
