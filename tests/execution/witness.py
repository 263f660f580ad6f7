"""A witness in the database itself: triggers that write down every move of every operation and step, whoever makes it.

What the tests see between two commands is where rows stand; the witness also sees how they came there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pausable.model.states import FINAL, OPERATION_MOVES, STEP_MOVES, Completion, StepState

if TYPE_CHECKING:
    from tests.execution.service import Service

if TYPE_CHECKING:
    Rows = dict[str, list[tuple[Any, ...]]]

#: The tables of which rows belong to one operation.
_OWNED = ("steps", "edges", "events", "lost_claims", "step_logs")
_ALL_OF = "SELECT * FROM"
_WITNESS_ON_SQLITE = """
CREATE TABLE witnessed (operation_id INTEGER, number INTEGER, old TEXT, new TEXT)
;
CREATE TRIGGER witness_operations AFTER UPDATE OF completion ON operations WHEN old.completion <> new.completion
BEGIN INSERT INTO witnessed VALUES (new.id, NULL, old.completion, new.completion); END
;
CREATE TRIGGER witness_steps AFTER UPDATE OF state ON steps WHEN old.state <> new.state
BEGIN INSERT INTO witnessed VALUES (new.operation_id, new.number, old.state, new.state); END
"""
_WITNESS_ON_POSTGRESQL = """
CREATE TABLE witnessed (operation_id INTEGER, number INTEGER, old TEXT, new TEXT)
;
CREATE FUNCTION witness_operation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO witnessed VALUES (new.id, NULL, old.completion, new.completion); RETURN NULL; END $$
;
CREATE FUNCTION witness_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO witnessed VALUES (new.operation_id, new.number, old.state, new.state); RETURN NULL; END $$
;
CREATE TRIGGER witness_operations AFTER UPDATE OF completion ON operations
FOR EACH ROW WHEN (old.completion <> new.completion) EXECUTE FUNCTION witness_operation()
;
CREATE TRIGGER witness_steps AFTER UPDATE OF state ON steps
FOR EACH ROW WHEN (old.state <> new.state) EXECUTE FUNCTION witness_step()
"""


def place_witness(service: Service) -> None:
    """From now on every move is written down, in the transaction that makes it."""
    witness = _WITNESS_ON_SQLITE if service.engine.database.is_sqlite else _WITNESS_ON_POSTGRESQL
    for statement in witness.split("\n;\n"):
        service.change(statement)


def illegal_moves(service: Service, operation: int) -> list[tuple[int | None, str, str]]:
    """The moves of an operation and its steps that are in no table."""
    return [
        (number, old, new)
        for number, old, new in _witnessed(service, operation)
        if not _is_legal(number is None, old, new)
    ]


def times_recorded(service: Service, operation: int) -> dict[int, int]:
    """How often each step has come to its end."""
    ends = [number for number, _old, new in _witnessed(service, operation) if number is not None and new in FINAL]
    return {number: ends.count(number) for number in ends}


def rows_of(service: Service, operation: int) -> Rows:
    """Every row that belongs to an operation, whole."""
    rows = {table: service.read(f"{_ALL_OF} {table} WHERE operation_id = ?", operation) for table in _OWNED}
    return rows | {"operations": service.read("SELECT * FROM operations WHERE id = ?", operation)}


def _is_legal(is_operation: bool, old: str, new: str) -> bool:
    if is_operation:
        return (Completion(old), Completion(new)) in OPERATION_MOVES
    return (StepState(old), StepState(new)) in STEP_MOVES


def _witnessed(service: Service, operation: int) -> list[tuple[Any, ...]]:
    return service.read("SELECT number, old, new FROM witnessed WHERE operation_id = ?", operation)
