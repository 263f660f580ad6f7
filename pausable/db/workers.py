"""The statements on `workers`, on the claims that they hold, and on the steps that wait for them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Text, bindparam, func, or_, select, text, update

from pausable.db.statements import count_some
from pausable.db.tables import operations, steps, workers

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from pausable.processes import Process


@dataclass(frozen=True, slots=True)
class Worker:
    """One incarnation of a worker; times are epoch seconds, `running` is the number of steps it holds.

    `queues` are the queues that it consumes; None in rows older than this column.
    """

    id: int
    host: str
    pid: int
    started_at: float | None
    seen_at: float
    stopped_at: float | None
    lost_at: float | None
    running: int
    queues: tuple[str, ...] | None = None

    def state(self, now: float, lease: float) -> str:
        """Return alive, silent (not seen for a `lease`, in seconds), lost (its claims were taken) or stopped."""
        if self.stopped_at is not None:
            return "stopped"
        if self.lost_at is not None:
            return "lost"
        return "silent" if now - self.seen_at > lease else "alive"


@dataclass(frozen=True, slots=True)
class Beating:
    """A worker that has neither stopped nor been lost, with its heartbeat counter."""

    id: int
    host: str
    boot_id: str
    pid: int
    start_time: int
    heartbeat: int


_MINE = workers.c.id == bindparam("key_id")
#: One statement for SQLite and PostgreSQL; SQLAlchemy has a construct for each.
_INSERT: Final = text(
    "INSERT INTO workers (host, boot_id, pid, start_time, heartbeat, seen_at, started_at, stopped_at, queues)"
    " VALUES (:host, :boot_id, :pid, :start_time, 0, :now, :now, :stopped_at, :queues)"
    " ON CONFLICT (host, boot_id, pid, start_time) DO UPDATE SET seen_at = :now, stopped_at = :stopped_at,"
    " lost_at = NULL, queues = :queues RETURNING id"
)
#: A worker whose heartbeat resumes was not lost.
_BEAT = (
    update(workers)
    .where(_MINE)
    .values(
        heartbeat=workers.c.heartbeat + 1,
        seen_at=bindparam("now"),
        lost_at=None,
        queues=func.coalesce(bindparam("queues", type_=Text), workers.c.queues),
    )
)
_STOP = update(workers).where(_MINE).values(stopped_at=bindparam("now"))
_LOSE = update(workers).where(_MINE, workers.c.lost_at.is_(None)).values(lost_at=bindparam("now"))
_SEEN = select(workers.c.seen_at).where(workers.c.stopped_at.is_(None)).order_by(workers.c.seen_at.desc()).limit(1)
_BEATING = select(
    workers.c.id, workers.c.host, workers.c.boot_id, workers.c.pid, workers.c.start_time, workers.c.heartbeat
).where(workers.c.stopped_at.is_(None), workers.c.lost_at.is_(None))
#: Number of steps that each worker holds.
RUNNING: Final = (
    select(steps.c.worker_id, func.count().label("running"))
    .where(text("steps.state = 'Running'"))
    .group_by(steps.c.worker_id)
    .subquery()
)
_ROWS = (
    select(
        workers.c.id,
        workers.c.host,
        workers.c.pid,
        workers.c.started_at,
        workers.c.seen_at,
        workers.c.stopped_at,
        workers.c.lost_at,
        func.coalesce(RUNNING.c.running, 0),
        workers.c.queues,
    )
    .outerjoin(RUNNING, RUNNING.c.worker_id == workers.c.id)
    .limit(bindparam("limit"))
)
_YOUNGEST = workers.c.id.desc()
_LIVE = (workers.c.stopped_at.is_(None), workers.c.lost_at.is_(None))
_LIST_LIVE = _ROWS.where(*_LIVE).order_by(workers.c.seen_at >= bindparam("heard_since"), _YOUNGEST)
_HAS_GONE = or_(workers.c.stopped_at >= bindparam("since"), workers.c.lost_at >= bindparam("since"))
_LIST_GONE = _ROWS.where(_HAS_GONE).order_by(_YOUNGEST)
_LIST = _ROWS.order_by(_YOUNGEST)
_TAKERS = select(workers.c.queues, func.count()).where(*_LIVE).group_by(workers.c.queues)


def register_worker(
    tx: Connection, process: Process, now: float, queues: Collection[str] | None = None, *, is_worker: bool = True
) -> int:
    """Insert a process that claims steps; a process that is registered keeps its row.

    Args:
        tx: A transaction that writes.
        process: The main process of the worker.
        now: Epoch seconds.
        queues: The queues that it consumes; None if unknown.
        is_worker: False for a program that runs steps itself: it has no heartbeat and is stored as stopped.

    Returns:
        The id of its row.
    """
    row = {"host": process.host, "boot_id": process.boot_id, "pid": process.pid, "start_time": process.start_time}
    told = {"now": now, "stopped_at": None if is_worker else now, "queues": _written(queues)}
    id_: int = tx.execute(_INSERT, row | told).scalar_one()
    return id_


def record_heartbeat(tx: Connection, worker_id: int, now: float, queues: Collection[str] | None = None) -> bool:
    """Increment a worker's heartbeat and store its queues if given; return False if its row is gone."""
    return tx.execute(_BEAT, {"key_id": worker_id, "now": now, "queues": _written(queues)}).rowcount > 0


def stop_worker(tx: Connection, worker_id: int, now: float) -> None:
    """Record that a worker has stopped in order."""
    tx.execute(_STOP, {"key_id": worker_id, "now": now})


def mark_worker_lost(tx: Connection, worker_id: int, now: float) -> None:
    """Record that a worker's heartbeat has stopped or its process is gone."""
    tx.execute(_LOSE, {"key_id": worker_id, "now": now})


def last_seen(tx: Connection) -> float | None:
    """Return when a worker that has not stopped was last seen, in epoch seconds."""
    seen: float | None = tx.execute(_SEEN).scalar()
    return seen


def beating_workers(tx: Connection) -> list[Beating]:
    """Return the workers that have neither stopped nor been lost."""
    return [Beating(*row) for row in tx.execute(_BEATING)]


def list_workers(tx: Connection, limit: int = 100) -> list[Worker]:
    """Return up to `limit` workers, newest first."""
    return _workers(tx.execute(_LIST, {"limit": limit}))


def live_workers(tx: Connection, limit: int, heard_since: float) -> list[Worker]:
    """Return up to `limit` workers that have neither stopped nor been lost, those not heard since then first."""
    return _workers(tx.execute(_LIST_LIVE, {"limit": limit, "heard_since": heard_since}))


def count_takers(tx: Connection) -> dict[tuple[str, ...] | None, int]:
    """Return how many live workers consume each set of queues; the key is None if they did not report any."""
    return {read_queues(queues): number for queues, number in tx.execute(_TAKERS)}


def gone_workers(tx: Connection, since: float, limit: int) -> list[Worker]:
    """Return up to `limit` workers that stopped or were lost since then, newest first."""
    return _workers(tx.execute(_LIST_GONE, {"limit": limit, "since": since}))


def read_queues(text: str | None) -> tuple[str, ...] | None:
    """Return the queues stored in a worker's column."""
    return None if text is None else tuple(json.loads(text))


def _workers(rows: Any) -> list[Worker]:
    return [Worker(*(*row[:-1], read_queues(row[-1]))) for row in rows]


def _written(queues: Collection[str] | None) -> str | None:
    return None if queues is None else json.dumps(sorted(queues))


class InHand(NamedTuple):
    """A running step and the worker that holds it."""

    worker_id: int
    operation_id: int
    number: int
    slug: str
    started_at: float | None
    process: int | None
    done: int | None
    total: int | None


class Overdue(NamedTuple):
    """The step that is overdue longest, in epoch seconds."""

    operation_id: int
    requester_id: int
    slug: str
    due_at: float


# Literals, because SQLite uses a partial index only if the condition is written as in the index.
_IS_RUNNING = text("steps.state = 'Running'")
_WAITS = text("steps.state IN ('Queued', 'Retrying') AND NOT steps.parked")
_IS_OVERDUE = steps.c.due_at <= bindparam("now")
_RANK = func.row_number().over(
    partition_by=steps.c.worker_id, order_by=(steps.c.started_at, steps.c.operation_id, steps.c.number)
)
_RANKED = select(steps.c.operation_id, steps.c.number, _RANK.label("rank")).where(_IS_RUNNING)
_LONGEST: Final = (
    select(steps.c.operation_id, operations.c.requester_id, steps.c.slug, steps.c.due_at)
    .join(operations, operations.c.id == steps.c.operation_id)
    .where(_WAITS, _IS_OVERDUE)
    .order_by(steps.c.due_at)
    .limit(1)
)


def longest_held_steps(tx: Connection, requester_id: int | None, limit: int) -> list[InHand]:
    """Return up to `limit` steps per worker that it has held longest, of one requester or of all."""
    ranked = _RANKED
    if requester_id is not None:
        # A subquery per step: with a join, SQLite would start from all operations of the requester.
        owner = select(operations.c.requester_id).where(operations.c.id == steps.c.operation_id).scalar_subquery()
        ranked = ranked.where(owner == requester_id)
    first = ranked.subquery()
    query = (
        select(*(steps.c[name] for name in InHand._fields))
        .join(first, (first.c.operation_id == steps.c.operation_id) & (first.c.number == steps.c.number))
        .where(first.c.rank <= limit)
        .order_by(steps.c.started_at, steps.c.operation_id, steps.c.number)
    )
    return [InHand(*row) for row in tx.execute(query)]


def count_held_steps(tx: Connection) -> dict[int, int]:
    """Return how many steps each worker holds, by its id."""
    return {worker_id: number for worker_id, number in tx.execute(select(RUNNING))}


def count_waiting(tx: Connection, now: float) -> dict[str, int]:
    """Return how many steps wait for a worker or a retry, and how many are overdue, up to one above `COUNTED`."""
    waiting = select(steps.c.operation_id).where(_WAITS)
    return {"waiting": count_some(tx, waiting), "overdue": count_some(tx, waiting.where(_IS_OVERDUE), now=now)}


def longest_overdue(tx: Connection, now: float) -> Overdue | None:
    """Return the step that is overdue longest."""
    row: Any = tx.execute(_LONGEST, {"now": now}).first()
    return row and Overdue(*row)
