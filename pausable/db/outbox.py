"""The outbox: notifications, written in the transaction of their change and taken by one worker at a time."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import BigInteger, bindparam, func, or_, select, text, tuple_, update

from pausable.db.tables import notifications, workers
from pausable.secrets import redacted
from pausable.texts import cut

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection, Select

if TYPE_CHECKING:
    Kind = Literal["notification", "telling"]
    #: Waiting to be sent or retried; sent; failed for good.
    Standing = Literal["Waiting", "Sent", "Failed"]
    #: A source in the code, and the number of one of its notifications.
    Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Written:
    """A row to insert; `source` and `number` identify the notification's address and template in the code."""

    operation_id: int
    step: str
    kind: Kind
    change: str
    source: str
    number: int
    facts: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Outgoing(Written):
    """A row of the outbox; `facts` is JSON, times are epoch seconds."""

    id: int
    state: Standing
    attempts: int
    due_at: float | None
    error: str | None
    finished_at: float | None

    @property
    def place(self) -> Place:
        """Return its place in the code; rows with the same place go to the same address."""
        return self.source, self.number


@dataclass(frozen=True, slots=True)
class Lease:
    """How long a row is reserved, in epoch seconds, and for which worker.

    The time is the taker's own clock, so a row of a live worker is reserved whatever the time: heartbeats show that it
    lives without comparing clocks. For a taker that is not a worker only the time counts.
    """

    until: float
    worker_id: int | None = None


_N = notifications.c
_COLUMNS: Final = [_N[one.name] for one in fields(Outgoing)]
#: One statement for SQLite and PostgreSQL; SQLAlchemy has a construct for each.
_INSERT: Final = text(
    "INSERT INTO notifications (operation_id, step, kind, change, source, number, facts, state, attempts, due_at,"
    " created_at) VALUES (:operation_id, :step, :kind, :change, :source, :number, :facts, 'Waiting', 0, :created_at,"
    " :created_at) ON CONFLICT DO NOTHING"
)
# A literal, because SQLite uses a partial index only if the condition is written as in the index.
_WAITING: Final = text("notifications.state = 'Waiting'")
_PLACE: Final = tuple_(_N.source, _N.number)
_LIVING: Final = select(workers.c.id).where(workers.c.stopped_at.is_(None), workers.c.lost_at.is_(None))
_FREE: Final = or_(_N.taken_by.is_(None), _N.taken_by == bindparam("me", type_=BigInteger), _N.taken_by.not_in(_LIVING))
_DUE: Final = (
    select(_N.id)
    .where(_WAITING, _FREE, _N.due_at <= bindparam("now"))
    .order_by(_N.due_at, _N.id)
    .limit(bindparam("limit"))
)
_TAKE: Final = (
    update(notifications)
    .values(attempts=_N.attempts + 1, due_at=bindparam("lease_until"), taken_by=bindparam("me", type_=BigInteger))
    .returning(*_COLUMNS)
)
_NEXT: Final = select(func.min(_N.due_at)).where(_WAITING, _FREE)
_MINE: Final = (_N.id == bindparam("key_id")) & _WAITING
_SENT: Final = (
    update(notifications)
    .where(_MINE)
    .values(state="Sent", due_at=None, taken_by=None, error=None, finished_at=bindparam("now"))
)
#: Only the last taker reschedules a row: an expired lease has no say.
_AGAIN: Final = (
    update(notifications)
    .where(_MINE, _N.attempts == bindparam("key_attempts"))
    .values(due_at=bindparam("due_at"), error=bindparam("error"), taken_by=None)
)
_GIVEN_UP: Final = (
    update(notifications)
    .where(_MINE)
    .values(state="Failed", due_at=None, taken_by=None, error=bindparam("error"), finished_at=bindparam("now"))
)
_REVIVE: Final = (
    update(notifications)
    .where(_N.state == "Failed")
    .values(state="Waiting", attempts=0, due_at=bindparam("now"), finished_at=None)
)
_COUNT: Final = select(_N.state, func.count()).where(_N.state.in_(("Waiting", "Failed"))).group_by(_N.state)


def insert_notifications(tx: Connection, written: Sequence[Written]) -> None:
    """Insert notifications in the transaction of their change; existing rows of that change are kept."""
    if written:
        tx.execute(_INSERT, [{one.name: getattr(row, one.name) for one in fields(Written)} for row in written])


def take_due(
    tx: Connection,
    *,
    now: float,
    lease: Lease,
    limit: int,
    besides: Collection[Place] = (),
    only: Place | None = None,
) -> list[Outgoing]:
    """Take due rows, the longest due first; others cannot take them before the lease ends.

    Args:
        tx: A transaction that writes.
        now: Epoch seconds.
        lease: The reservation.
        limit: Maximum number of rows.
        besides: Skip rows of these places.
        only: Take rows of this place only.
    """
    query = _DUE.where(_PLACE.not_in(besides)) if besides else _DUE
    if only is not None:
        query = query.where(_PLACE.in_([only]))
    due = query.with_for_update(skip_locked=True).cte("due")
    take = _TAKE.where(_N.id.in_(select(due.c.id)))
    rows: Any = tx.execute(take, {"now": now, "lease_until": lease.until, "me": lease.worker_id, "limit": limit})
    return sorted((Outgoing(*row) for row in rows), key=lambda row: row.id)


def next_notification(tx: Connection, besides: Collection[Place] = (), worker_id: int | None = None) -> float | None:
    """Return when the next row that this worker may take is due, in epoch seconds, skipping these places."""
    query = _NEXT.where(_PLACE.not_in(besides)) if besides else _NEXT
    due: float | None = tx.execute(query, {"me": worker_id}).scalar()
    return due


def mark_sent(tx: Connection, row: Outgoing, now: float) -> bool:
    """Mark a row as sent; return False if it was, or is gone."""
    return tx.execute(_SENT, {"key_id": row.id, "now": now}).rowcount == 1


def reschedule(tx: Connection, row: Outgoing, due_at: float, error: str) -> bool:
    """Reschedule a row; return False if another worker has it now, or it is gone."""
    later = {"key_id": row.id, "key_attempts": row.attempts, "due_at": due_at, "error": cut(redacted(error))}
    return tx.execute(_AGAIN, later).rowcount == 1


def mark_failed(tx: Connection, row: Outgoing, error: str, now: float) -> bool:
    """Mark a row as failed for good; return False if it was sent meanwhile, or is gone."""
    return tx.execute(_GIVEN_UP, {"key_id": row.id, "error": cut(redacted(error)), "now": now}).rowcount == 1


def revive(tx: Connection, now: float, *, operation_id: int | None = None, ids: Collection[int] = ()) -> int:
    """Retry failed rows of one operation, with these ids, or all; return how many."""
    query = _REVIVE
    if operation_id is not None:
        query = query.where(_N.operation_id == operation_id)
    if ids:
        query = query.where(_N.id.in_(ids))
    return tx.execute(query, {"now": now}).rowcount


def list_notifications(
    tx: Connection, *, state: Standing | None, operation_id: int | None, before_id: int | None, limit: int
) -> list[Outgoing]:
    """Return rows of the outbox, newest first.

    Args:
        tx: A transaction.
        state: Only rows in this state; None for all.
        operation_id: Only rows of this operation; None for all.
        before_id: Only rows with a smaller id; None for all.
        limit: Maximum number of rows.
    """
    query: Select[Any] = select(*_COLUMNS).order_by(_N.id.desc()).limit(limit)
    if state is not None:
        query = query.where(_N.state == state)
    if operation_id is not None:
        query = query.where(_N.operation_id == operation_id)
    if before_id is not None:
        query = query.where(_N.id < before_id)
    return [Outgoing(*row) for row in tx.execute(query)]


def count_notifications(tx: Connection) -> dict[str, int]:
    """Return the number of waiting and of failed rows."""
    rows: Any = tx.execute(_COUNT)
    found: dict[str, int] = {state: number for state, number in rows}
    return {"waiting": found.get("Waiting", 0), "failed": found.get("Failed", 0)}
