"""The statements on `workers`: one row for each incarnation of a worker, raised by its own heartbeat only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, select, update

from app.store.tables import workers

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Process:
    """What tells one process from every other, on any machine and across restarts."""

    host: str
    boot_id: str
    pid: int
    start_time: int


_INSERT = insert(workers).returning(workers.c.id)
_BEAT = (
    update(workers)
    .where(workers.c.id == bindparam("key_id"))
    .values(heartbeat=workers.c.heartbeat + 1, seen_at=bindparam("now"))
)
_STOP = update(workers).where(workers.c.id == bindparam("key_id")).values(stopped_at=bindparam("now"))
_SEEN = select(workers.c.seen_at).where(workers.c.stopped_at.is_(None)).order_by(workers.c.seen_at.desc()).limit(1)


def register_worker(tx: Connection, process: Process, now: float) -> int:
    """Enter a worker that starts; returns its id."""
    row = {"host": process.host, "boot_id": process.boot_id, "pid": process.pid, "start_time": process.start_time}
    id_: int = tx.execute(_INSERT, row | {"heartbeat": 0, "seen_at": now}).scalar_one()
    return id_


def beat(tx: Connection, worker_id: int, now: float) -> None:
    """Raise a worker's heartbeat counter."""
    tx.execute(_BEAT, {"key_id": worker_id, "now": now})


def stop_worker(tx: Connection, worker_id: int, now: float) -> None:
    """Note that a worker has ended in good order."""
    tx.execute(_STOP, {"key_id": worker_id, "now": now})


def last_seen(tx: Connection) -> float | None:
    """When a worker that has not ended was last heard of, in seconds since the epoch."""
    seen: float | None = tx.execute(_SEEN).scalar()
    return seen
