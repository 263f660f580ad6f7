"""The statements that read what of steps people are shown: never a signature whole, as arguments may be large."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, func, null, select

from app.domain.states import StepState
from app.store.tables import edges, steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

#: Characters of a signature that are read for the name of its task, which nearly always stands first.
_HEAD: Final = 500
#: A signature that begins with its task.
_TASK_FIRST: Final = re.compile(r'\{\s*"task":\s*("[^"\\]*")')
#: Step numbers that one statement names at the most.
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class ShownStep:
    """A step as it is listed; `result` and `error` are JSON, times are seconds since the epoch.

    `result` is None too where results were not asked for.
    """

    number: int
    slug: str
    state: StepState
    task: str
    point: int | None
    runs: int
    losses: int
    error: str | None
    due_at: float | None
    started_at: float | None
    finished_at: float | None
    message: str | None
    done: int | None
    total: int | None
    result: str | None


@dataclass(frozen=True, slots=True)
class DrawnStep:
    """A step as a picture shows it."""

    number: int
    slug: str
    state: StepState
    task: str
    started_at: float | None
    finished_at: float | None


_OPERATION = steps.c.operation_id == bindparam("operation_id")
_NAMED = (steps.c.number, steps.c.slug, steps.c.state, func.substr(steps.c.signature, 1, _HEAD))
_COLUMNS = (
    *_NAMED,
    steps.c.point,
    steps.c.runs,
    steps.c.losses,
    steps.c.error,
    steps.c.due_at,
    steps.c.started_at,
    steps.c.finished_at,
    steps.c.message,
    steps.c.done,
    steps.c.total,
)
_PAGE = (_OPERATION, steps.c.number > bindparam("after"))
_LISTED = select(*_COLUMNS, steps.c.result).where(*_PAGE).order_by(steps.c.number).limit(bindparam("limit"))
_LISTED_WITHOUT_RESULTS = select(*_COLUMNS, null()).where(*_PAGE).order_by(steps.c.number).limit(bindparam("limit"))
_DRAWN = select(*_NAMED, steps.c.started_at, steps.c.finished_at).where(_OPERATION).order_by(steps.c.number)
_SIGNATURES = select(steps.c.number, func.coalesce(steps.c.outline, steps.c.signature)).where(
    _OPERATION, steps.c.number.in_(bindparam("numbers", expanding=True))
)
_EDGES = select(edges.c.upstream).where(edges.c.operation_id == bindparam("operation_id")).limit(bindparam("limit"))
_COUNT_EDGES = select(func.count()).select_from(_EDGES.subquery())


def shown_steps(
    tx: Connection, operation_id: int, *, after: int, limit: int, has_results: bool = False
) -> list[ShownStep]:
    """Return the steps of an operation in topological order, those after number `after`, at most `limit`."""
    query = _LISTED if has_results else _LISTED_WITHOUT_RESULTS
    rows: Any = tx.execute(query, {"operation_id": operation_id, "after": after, "limit": limit}).all()
    tasks = _tasks(tx, operation_id, rows)
    return [ShownStep(row[0], row[1], StepState(row[2]), tasks[row[0]], *row[4:]) for row in rows]


def drawn_steps(tx: Connection, operation_id: int) -> list[DrawnStep]:
    """Return all steps of an operation in topological order."""
    rows: Any = tx.execute(_DRAWN, {"operation_id": operation_id}).all()
    tasks = _tasks(tx, operation_id, rows)
    return [DrawnStep(row[0], row[1], StepState(row[2]), tasks[row[0]], *row[4:]) for row in rows]


def count_edges(tx: Connection, operation_id: int, limit: int) -> int:
    """Return how many edges an operation has, counted no further than `limit`."""
    number: int = tx.execute(_COUNT_EDGES, {"operation_id": operation_id, "limit": limit}).scalar_one()
    return number


def _tasks(tx: Connection, operation_id: int, rows: Iterable[Sequence[Any]]) -> Mapping[int, str]:
    """Return the names of the tasks of these steps, by number; signatures that do not begin with it are read whole."""
    found: dict[int, str] = {}
    others: list[int] = []
    for number, _slug, _state, head, *_rest in rows:
        if match := _TASK_FIRST.match(head):
            found[number] = json.loads(match[1])
        else:
            others.append(number)
    for start in range(0, len(others), _AT_ONCE):
        key = {"operation_id": operation_id, "numbers": others[start : start + _AT_ONCE]}
        found |= {number: str(json.loads(signature)["task"]) for number, signature in tx.execute(_SIGNATURES, key)}
    return found
