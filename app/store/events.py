"""The history of operations: rows are only ever appended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NotRequired, TypedDict, Unpack

from sqlalchemy import bindparam, func, insert, select

from app.domain.states import Completion, StepState
from app.secrets import redacted
from app.store.prepared import Prepared
from app.store.tables import events

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Event:
    """One change: who made it, of what (a step's slug, or the operation itself), from where to where, and why."""

    id: int
    operation_id: int
    at: float
    who: str
    step: str | None
    old: str | None
    new: str
    why: str | None


class Told(TypedDict):
    """What an event tells; the fields of `Event`."""

    at: float
    who: str
    new: str
    old: NotRequired[str | None]
    step: NotRequired[str | None]
    why: NotRequired[str | None]


_TOLD = ("operation_id", "at", "who", "step", "old", "new", "why")
_INSERT = Prepared(insert(events).values({name: bindparam(name) for name in _TOLD}))
_OF_OPERATION = (
    select(events)
    .where(events.c.operation_id == bindparam("operation_id"), events.c.id > bindparam("after"))
    .order_by(events.c.id)
    .limit(bindparam("limit"))
)


_ASKED = (
    select(events.c.at)
    .where(
        events.c.operation_id == bindparam("operation_id"),
        events.c.step.is_(None),
        events.c.new == bindparam("new"),
        events.c.old.is_distinct_from(events.c.new),  # a rebuilt document is told as PAUSED to PAUSED
    )
    .order_by(events.c.id.desc())
    .limit(1)
)


_HAS_PAUSED = (
    select(events.c.id)
    .where(
        events.c.operation_id == bindparam("operation_id"),
        events.c.step == bindparam("step"),
        events.c.new == StepState.PAUSED,
        events.c.id
        > select(func.coalesce(func.max(events.c.id), 0))
        .where(
            events.c.operation_id == bindparam("operation_id"),
            events.c.step.is_(None),
            events.c.old == Completion.FAILED,
        )
        .scalar_subquery(),
    )
    .limit(1)
)


def append_event(tx: Connection, operation_id: int, **told: Unpack[Told]) -> None:
    """Append one event, in the transaction of the change that it tells of."""
    why = told.get("why")
    row = {"operation_id": operation_id, "step": None, "old": None, **told, "why": redacted(why) if why else why}
    _INSERT.change(tx, row)


def events_of(tx: Connection, operation_id: int, *, after: int = 0, limit: int = 1000) -> list[Event]:
    """The events of one operation in the order they happened, those after the event `after`."""
    rows = tx.execute(_OF_OPERATION, {"operation_id": operation_id, "after": after, "limit": limit})
    return [Event(*row) for row in rows]


def has_paused(tx: Connection, operation_id: int, slug: str) -> bool:
    """Return whether a step has asked for a pause, or stopped for one, since the operation was last retried."""
    return tx.execute(_HAS_PAUSED, {"operation_id": operation_id, "step": slug}).first() is not None


def last_asked(tx: Connection, operation_id: int, new: str) -> float | None:
    """When the operation itself came to stand there for the last time, in seconds since the epoch."""
    at: float | None = tx.execute(_ASKED, {"operation_id": operation_id, "new": new}).scalar()
    return at
