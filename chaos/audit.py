"""The service's database as the harness sees it: a trigger that notes each recorded ending, and the rows at the end."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self

from kombu.exceptions import OperationalError
from sqlalchemy import text

from chaos.evidence import Move, Operation, Recording, Taken
from pausable.db.migrations import upgrade
from pausable.db.users import first_user
from pausable.engine.celery_app import make_celery
from pausable.engine.publish import RUN_SLICE
from pausable.model.states import ENDED, Completion

if TYPE_CHECKING:
    from random import Random

    from pausable.config import Settings

_TABLE: Final = """
CREATE TABLE chaos_recordings (operation_id BIGINT NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL)
"""
_SQLITE: Final = (
    """
CREATE TRIGGER chaos_records AFTER UPDATE OF state ON steps WHEN NEW.state IN ('Success', 'Failed')
BEGIN
    INSERT INTO chaos_recordings VALUES
        (NEW.operation_id, NEW.number, NEW.state, (julianday('now') - 2440587.5) * 86400.0);
END
""",
)
_POSTGRESQL: Final = (
    """
CREATE FUNCTION chaos_record() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_recordings VALUES
        (NEW.operation_id, NEW.number, NEW.state, extract(epoch FROM clock_timestamp()));
    RETURN NULL;
END $$
""",
    """
CREATE TRIGGER chaos_records AFTER UPDATE OF state ON steps FOR EACH ROW
WHEN (NEW.state IN ('Success', 'Failed')) EXECUTE FUNCTION chaos_record()
""",
)
_OPERATIONS: Final = text("SELECT id, idempotency_key, completion, result, error FROM operations ORDER BY id")
_MOVES: Final = text("SELECT operation_id, at, new FROM events WHERE step IS NULL ORDER BY id")
_TAKEN: Final = text("SELECT operation_id, step, at FROM events WHERE old = 'Running' AND new = 'Queued' ORDER BY id")
_RECORDINGS: Final = text(
    "SELECT r.operation_id, s.slug, r.at, r.state FROM chaos_recordings AS r "
    "JOIN steps AS s ON s.operation_id = r.operation_id AND s.number = r.number ORDER BY r.at"
)
_LEFT: Final = text("SELECT id, completion FROM operations WHERE completion NOT IN (:a, :b, :c)")
_IN_MOTION: Final = text("SELECT operation_id, number FROM steps WHERE state IN ('Queued', 'Running')")
_ENDED: Final = text("SELECT operation_id, number FROM steps WHERE state = 'Success'")
_ROWS: Final = {
    "operation": text("SELECT * FROM operations WHERE id = :id"),
    "step": text("SELECT * FROM steps WHERE operation_id = :id AND state <> 'Success' ORDER BY number"),
    "event": text("SELECT * FROM events WHERE operation_id = :id ORDER BY id"),
    "worker": text("SELECT * FROM workers WHERE id IN (SELECT worker_id FROM steps WHERE operation_id = :id)"),
}
_LONGEST: Final = 200
_UNTOLD: Final = ("arguments", "signature", "inputs", "callback", "clause", "outcome")


class Audit:
    """Lays an empty database of the service, and reads it while the service runs on it."""

    def __init__(self, settings: Settings) -> None:
        upgrade(settings)
        first_user(settings)
        self._celery = make_celery(settings)
        self._database = self._celery.engine.database
        triggers = _SQLITE if self._database.is_sqlite else _POSTGRESQL
        with self._database.write() as tx:
            for statement in (_TABLE, *triggers):
                tx.execute(text(statement))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()
        self._celery.close()

    def left(self) -> dict[int, str]:
        """The operations that have not ended, and where they stand."""
        a, b, c = sorted(ENDED)
        return {row.id: Completion(row.completion) for row in self._rows(_LEFT, a=a, b=b, c=c)}

    def operations(self) -> list[Operation]:
        """All operations."""
        return [
            Operation(id_, key, completion, _read(result), (_read(error) or {}).get("type", ""))
            for id_, key, completion, result, error in self._rows(_OPERATIONS)
        ]

    def moves(self) -> list[Move]:
        """All moves of operations, in the order in which they happened."""
        return [Move(*row) for row in self._rows(_MOVES)]

    def taken(self) -> list[Taken]:
        """All steps that were taken from their workers, in the order in which that happened."""
        return [Taken(*row) for row in self._rows(_TAKEN)]

    def recordings(self) -> list[Recording]:
        """All endings of steps that were ever written."""
        return [Recording(*row) for row in self._rows(_RECORDINGS)]

    def told(self, operation_id: int) -> list[str]:
        """Everything about one operation, a line for each row."""
        lines = []
        for kind, statement in _ROWS.items():
            for row in self._rows(statement, id=operation_id):
                facts = {name: value for name, value in row._mapping.items() if name not in _UNTOLD}
                said = (f"{name}={str(value)[:_LONGEST]}" for name, value in facts.items() if value is not None)
                lines.append(f"{kind}: {', '.join(said)}")
        return lines

    def send_again(self, number: int, rng: Random) -> None:
        """Publish messages of steps that wait, run, or have ended: so many of the first two, and of the third."""
        with suppress(OperationalError):
            for statement in (_IN_MOTION, _ENDED):
                steps = self._rows(statement)
                for operation_id, step in rng.sample(steps, min(number, len(steps))):
                    self._celery.send_task(RUN_SLICE, (operation_id, step), retry=False)

    def _rows(self, statement: Any, **parameters: Any) -> list[Any]:
        with self._database.glance() as tx:
            return list(tx.execute(statement, parameters))


def _read(result: str | None) -> Any:
    return None if result is None else json.loads(result)
