"""A witness in the database itself: triggers that write down every move of every operation and step, whoever makes it.

What the tests see between two commands is where rows stand; the witness also sees how they came there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.domain.states import FINAL, OPERATION_MOVES, STEP_MOVES, Completion, StepState

if TYPE_CHECKING:
    from tests.execution.service import Service

    Rows = dict[str, list[tuple[Any, ...]]]

#: The tables of which rows belong to one operation.
_OWNED = ("steps", "edges", "events", "lost_claims", "step_logs")
_ALL_OF = "SELECT * FROM"
_WITNESS = """
CREATE TABLE witnessed (operation_id INTEGER, number INTEGER, old TEXT, new TEXT)
;
CREATE TRIGGER witness_operations AFTER UPDATE OF completion ON operations WHEN old.completion <> new.completion
BEGIN INSERT INTO witnessed VALUES (new.id, NULL, old.completion, new.completion); END
;
CREATE TRIGGER witness_steps AFTER UPDATE OF state ON steps WHEN old.state <> new.state
BEGIN INSERT INTO witnessed VALUES (new.operation_id, new.number, old.state, new.state); END
"""


def place_witness(service: Service) -> None:
    """From now on every move is written down, in the transaction that makes it."""
    for statement in _WITNESS.split("\n;\n"):
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
    rows = {table: _read(service, f"{_ALL_OF} {table} WHERE operation_id = ?", operation) for table in _OWNED}
    return rows | {"operations": _read(service, "SELECT * FROM operations WHERE id = ?", operation)}


def _is_legal(is_operation: bool, old: str, new: str) -> bool:
    if is_operation:
        return (Completion(old), Completion(new)) in OPERATION_MOVES
    return (StepState(old), StepState(new)) in STEP_MOVES


def _witnessed(service: Service, operation: int) -> list[tuple[Any, ...]]:
    return _read(service, "SELECT number, old, new FROM witnessed WHERE operation_id = ?", operation)


def _read(service: Service, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with service.engine.database.read() as tx:
        driver: Any = tx.connection.driver_connection
        rows: list[tuple[Any, ...]] = driver.execute(statement, parameters).fetchall()
    return rows
