"""The statements on `edits`, and those that change calls and results of steps by hand, under the operation's lock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, insert, select, update

from app.domain.outlines import outline_of
from app.domain.states import FINAL, IDLE
from app.store.tables import edits, steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Edit:
    """One row of `edits`; `diff` and `former` are JSON, times are seconds since the epoch."""

    id: int
    operation_id: int
    at: float
    who: str
    why: str | None
    diff: str
    former: str
    runs: int
    undone_at: float | None
    undone_by: str | None


_OF_OPERATION = edits.c.operation_id == bindparam("operation_id")
_ALL = select(edits).where(_OF_OPERATION)
_LAST = _ALL.where(edits.c.undone_at.is_(None)).order_by(edits.c.id.desc()).limit(1)
_RUNS = select(func.coalesce(func.sum(steps.c.runs), 0)).where(steps.c.operation_id == bindparam("operation_id"))
_STEP = (steps.c.operation_id == bindparam("key_operation"), steps.c.number == bindparam("key_number"))
_CALL = (
    update(steps)
    .where(*_STEP, steps.c.state.in_(sorted(IDLE)))
    .values(signature=bindparam("signature"), outline=bindparam("outline"))
)
_RESULT = update(steps).where(*_STEP, steps.c.state.in_(sorted(FINAL))).values(result=bindparam("result"))


def insert_edit(tx: Connection, row: Mapping[str, Any]) -> int:
    """Insert an edit, its columns by name; returns its id."""
    id_: int = tx.execute(insert(edits).returning(edits.c.id), row).scalar_one()
    return id_


def last_edit(tx: Connection, operation_id: int) -> Edit | None:
    """The newest edit that was not taken back."""
    row: Any = tx.execute(_LAST, {"operation_id": operation_id}).first()
    return None if row is None else Edit(*row)


def list_edits(tx: Connection, operation_id: int, *, after: int, limit: int) -> list[Edit]:
    """The edits of an operation in their order, those after that one."""
    query = _ALL.where(edits.c.id > after).order_by(edits.c.id).limit(limit)
    rows: Any = tx.execute(query, {"operation_id": operation_id})
    return [Edit(*row) for row in rows]


def mark_undone(tx: Connection, edit_id: int, who: str, now: float) -> bool:
    """Note that an edit was taken back; False when it was already."""
    statement = update(edits).where(edits.c.id == edit_id, edits.c.undone_at.is_(None))
    return tx.execute(statement.values(undone_at=now, undone_by=who)).rowcount == 1


def runs_of(tx: Connection, operation_id: int) -> int:
    """How often code of the operation's steps was started, in all."""
    return int(tx.execute(_RUNS, {"operation_id": operation_id}).scalar_one())


def change_calls(tx: Connection, operation_id: int, calls: Mapping[int, str]) -> bool:
    """Let steps that have not begun call something else, as JSON; False when one of them has."""
    keys = [
        {"key_operation": operation_id, "key_number": one, "signature": text, "outline": outline_of(text)}
        for one, text in calls.items()
    ]
    return all(tx.execute(_CALL, key).rowcount == 1 for key in keys)


def change_results(tx: Connection, operation_id: int, results: Mapping[int, str | None]) -> bool:
    """Put other results, as JSON, in the place of those that steps ended with; False when one of them has not ended."""
    keys = [{"key_operation": operation_id, "key_number": one, "result": text} for one, text in results.items()]
    return all(tx.execute(_RESULT, key).rowcount == 1 for key in keys)
