"""Whether all that the service needs answers: database, migrations, broker, workers, each named."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
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

Checks = Mapping[str, Mapping[str, Any]]
_log = logging.getLogger(__name__)


class Readiness:
    """Looks at everything, at the most once a second however many ask."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._looking = threading.Lock()
        self._found: Checks = {}
        self._until = float("-inf")

    def checks(self) -> Checks:
        """Of each part whether it is `ok`, and a `detail` that is fit for strangers."""
        with self._looking:
            if clock.monotonic() >= self._until:
                self._found = {name: _checked(self._engine, *probe) for name, probe in _PROBES.items()}
                self._until = clock.monotonic() + _FRESH_FOR
            return self._found


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


_PROBES: Final[Mapping[str, tuple[Callable[[Engine], bool], str, str]]] = {
    "database": (_database_answers, "answers", "does not answer"),
    "migrations": (_migrations_are_current, "the schema is the present one", "the schema is not the present one"),
    "broker": (_broker_answers, "answers", "does not answer within a second"),
    "workers": (_workers_were_seen, "seen in the last 30 seconds", "none was seen in the last 30 seconds"),
}
