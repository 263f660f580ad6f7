"""The statements on `step_logs`: what a step's code logged, appended in parts while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, insert, select, tuple_

from app.store.prepared import Prepared
from app.store.tables import step_logs, steps

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class LogPart:
    """Some lines of one run of a step's code; parts are in order by `run` and `part`."""

    run: int
    part: int
    lines: str


_OF_STEP = (step_logs.c.operation_id == bindparam("operation_id")) & (step_logs.c.number == bindparam("number"))
# The next part is looked up, not counted by the writer: a run whose claim the table never knew has the number of the
# run after it.
_NEXT_PART = (
    select(func.coalesce(func.max(step_logs.c.part), 0) + 1)
    .where(_OF_STEP, step_logs.c.run == bindparam("run"))
    .scalar_subquery()
)
_APPEND = Prepared(
    insert(step_logs).values(
        operation_id=bindparam("operation_id"),
        number=bindparam("number"),
        run=bindparam("run"),
        part=_NEXT_PART,
        lines=bindparam("lines"),
    )
)
_AFTER = (
    select(step_logs.c.run, step_logs.c.part, step_logs.c.lines)
    .where(_OF_STEP, tuple_(step_logs.c.run, step_logs.c.part) > tuple_(bindparam("run"), bindparam("part")))
    .order_by(step_logs.c.run, step_logs.c.part)
    .limit(bindparam("limit"))
)
_NUMBER = select(steps.c.number).where(
    steps.c.operation_id == bindparam("operation_id"), steps.c.slug == bindparam("slug")
)


def append_lines(tx: Connection, operation_id: int, number: int, run: int, lines: str) -> None:
    """Append lines to what one run of a step's code has logged; each line ends with a line feed."""
    _APPEND.change(tx, {"operation_id": operation_id, "number": number, "run": run, "lines": lines})


def log_parts(
    tx: Connection, operation_id: int, number: int, *, after: LogPart | None = None, limit: int = 16
) -> list[LogPart]:
    """The next parts of a step's log after the part `after`, at most `limit`; empty at its end."""
    run, part = (after.run, after.part) if after else (0, 0)
    key = {"operation_id": operation_id, "number": number, "run": run, "part": part, "limit": limit}
    return [LogPart(*row) for row in tx.execute(_AFTER, key)]


def number_of_slug(tx: Connection, operation_id: int, slug: str) -> int | None:
    """The number of an operation's step of that name."""
    number: int | None = tx.execute(_NUMBER, {"operation_id": operation_id, "slug": slug}).scalar()
    return number
