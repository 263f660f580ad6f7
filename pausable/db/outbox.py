"""The outbox: what is to be told to people, written with the change it tells of and taken by one worker at a time."""

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
    #: Waiting to be sent, or sent again; sent; given up.
    Standing = Literal["Waiting", "Sent", "Failed"]
    #: A source, and the number of one of the notifications that stand there.
    Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Written:
    """What a change leaves to be told; `source` and `number` say where in the code its address and text are."""

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
    """A row of the outbox; `facts` is JSON, times are seconds since the epoch."""

    id: int
    state: Standing
    attempts: int
    due_at: float | None
    error: str | None
    finished_at: float | None

    @property
    def place(self) -> Place:
        """Where in the code it stands: what has the same place goes to the same address."""
        return self.source, self.number


@dataclass(frozen=True, slots=True)
class Lease:
    """For how long a row is its taker's, in seconds since the epoch, and which worker that is.

    The moment is one of the taker's own clock, so a row of a worker that lives is nobody else's, whatever the time:
    that a worker lives is seen by its heartbeat, which compares no clocks. A taker without a worker has the time alone.
    """

    until: float
    worker_id: int | None = None


_N = notifications.c
_COLUMNS: Final = [_N[one.name] for one in fields(Outgoing)]
#: SQLite and PostgreSQL both know it; SQLAlchemy has a word of its own for each of them.
_INSERT: Final = text(
    "INSERT INTO notifications (operation_id, step, kind, change, source, number, facts, state, attempts, due_at,"
    " created_at) VALUES (:operation_id, :step, :kind, :change, :source, :number, :facts, 'Waiting', 0, :created_at,"
    " :created_at) ON CONFLICT DO NOTHING"
)
# Written out, as in the partial index: SQLite uses one only where it can see that the rows are among its own.
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
#: Only the last who took it puts it off: one whose lease is over has nothing to say about the next try.
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
    """Write what is to be told, in the transaction of its change; what was written for that change already stays."""
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
    """Take what is due, the longest due first: nobody else takes it before the lease is over.

    What stands at the places `besides` is left, or all that does not stand at `only`.
    """
    query = _DUE.where(_PLACE.not_in(besides)) if besides else _DUE
    if only is not None:
        query = query.where(_PLACE.in_([only]))
    due = query.with_for_update(skip_locked=True).cte("due")
    take = _TAKE.where(_N.id.in_(select(due.c.id)))
    rows: Any = tx.execute(take, {"now": now, "lease_until": lease.until, "me": lease.worker_id, "limit": limit})
    return sorted((Outgoing(*row) for row in rows), key=lambda row: row.id)


def next_notification(tx: Connection, besides: Collection[Place] = (), worker_id: int | None = None) -> float | None:
    """Return when the next one is due that this worker may take, in seconds since the epoch; none at these places."""
    query = _NEXT.where(_PLACE.not_in(besides)) if besides else _NEXT
    due: float | None = tx.execute(query, {"me": worker_id}).scalar()
    return due


def mark_sent(tx: Connection, row: Outgoing, now: float) -> bool:
    """Note that it was delivered; False when that was known, or it is gone."""
    return tx.execute(_SENT, {"key_id": row.id, "now": now}).rowcount == 1


def put_off(tx: Connection, row: Outgoing, due_at: float, error: str) -> bool:
    """Have it tried again then; False when somebody else has it now, or it is gone."""
    later = {"key_id": row.id, "key_attempts": row.attempts, "due_at": due_at, "error": cut(redacted(error))}
    return tx.execute(_AGAIN, later).rowcount == 1


def give_up(tx: Connection, row: Outgoing, error: str, now: float) -> bool:
    """Try it no more; False when it was sent meanwhile, or is gone."""
    return tx.execute(_GIVEN_UP, {"key_id": row.id, "error": cut(redacted(error)), "now": now}).rowcount == 1


def revive(tx: Connection, now: float, *, operation_id: int | None = None, ids: Collection[int] = ()) -> int:
    """Have those tried again that were given up, of one operation, of these ids, or all; returns how many."""
    query = _REVIVE
    if operation_id is not None:
        query = query.where(_N.operation_id == operation_id)
    if ids:
        query = query.where(_N.id.in_(ids))
    return tx.execute(query, {"now": now}).rowcount


def list_notifications(
    tx: Connection, *, state: Standing | None, operation_id: int | None, before_id: int | None, limit: int
) -> list[Outgoing]:
    """The newest first, below `before_id`, at most `limit`; None means any."""
    query: Select[Any] = select(*_COLUMNS).order_by(_N.id.desc()).limit(limit)
    if state is not None:
        query = query.where(_N.state == state)
    if operation_id is not None:
        query = query.where(_N.operation_id == operation_id)
    if before_id is not None:
        query = query.where(_N.id < before_id)
    return [Outgoing(*row) for row in tx.execute(query)]


def count_notifications(tx: Connection) -> dict[str, int]:
    """How many wait, and how many were given up."""
    rows: Any = tx.execute(_COUNT)
    found: dict[str, int] = {state: number for state, number in rows}
    return {"waiting": found.get("Waiting", 0), "failed": found.get("Failed", 0)}
