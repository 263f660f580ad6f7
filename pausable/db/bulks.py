"""The statements on `bulks`, and those that find the operations of a bulk command, a range of ids at a time.

A bulk command does not list its operations: it stores the filter at the time of the request and how far it has come.
The history up to the newest event of that time says which operation was where.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, func, insert, select, text, update

from pausable.db.tables import bulks, events, operations, user
from pausable.model.bulk import Verb
from pausable.model.states import Completion

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy import Connection, Select


@dataclass(frozen=True, slots=True)
class Bulk:
    """A row of `bulks` with its requester's name; times are epoch seconds, `refusals` is JSON."""

    id: int
    requester_id: int
    who: str
    verb: Verb
    workflow: str | None
    completions: tuple[Completion, ...]
    owner_id: int | None
    reason: str | None
    resume_at: float | None
    per_minute: int | None
    newest: int
    newest_event: int
    place: int
    total: int
    done: int
    refused: int
    refusals: str
    created_at: float
    due_at: float
    finished_at: float | None
    stopped_by: str | None
    request_digest: str | None

    @property
    def left(self) -> int:
        """Return how many operations remain, as far as is known."""
        return max(self.total - self.done - self.refused, 0)

    @property
    def state(self) -> str:
        """Return its state in one word."""
        if self.finished_at is None:
            return "RUNNING"
        return "DONE" if self.stopped_by is None else "STOPPED"


class Found(NamedTuple):
    """Operations that may be meant, by id, and the id up to which the list is complete."""

    ids: list[int]
    up_to: int


_COLUMNS = (
    bulks.c.id,
    bulks.c.requester_id,
    user.c.name,
    bulks.c.verb,
    bulks.c.workflow,
    bulks.c.completions,
    bulks.c.owner_id,
    bulks.c.reason,
    bulks.c.resume_at,
    bulks.c.per_minute,
    bulks.c.newest,
    bulks.c.newest_event,
    bulks.c.place,
    bulks.c.total,
    bulks.c.done,
    bulks.c.refused,
    bulks.c.refusals,
    bulks.c.created_at,
    bulks.c.due_at,
    bulks.c.finished_at,
    bulks.c.stopped_by,
    bulks.c.request_digest,
)
_ALL = select(*_COLUMNS).join(user, user.c.id == bulks.c.requester_id)
_RUNS = text("bulks.finished_at IS NULL")  # literal, to match the partial index
_DUE = _ALL.where(_RUNS, bulks.c.due_at <= bindparam("now")).order_by(bulks.c.due_at).limit(bindparam("limit"))
_NEXT_DUE = select(bulks.c.due_at).where(_RUNS).order_by(bulks.c.due_at).limit(1)
#: Guards an update: it must continue from the stored place, and the command must not have been stopped.
_HERE = (bulks.c.id == bindparam("key_id"), bulks.c.place == bindparam("key_place"), _RUNS)
_STOP = update(bulks).where(bulks.c.id == bindparam("key_id"), _RUNS)
_MOVES = (
    select(events.c.new)
    .where(
        events.c.operation_id == bindparam("operation_id"),
        events.c.step.is_(None),
        events.c.old.is_distinct_from(events.c.new),
    )
    .limit(bindparam("limit"))
)
_THEN = _MOVES.where(events.c.id <= bindparam("newest")).order_by(events.c.id.desc())
_SINCE = _MOVES.where(events.c.id > bindparam("newest")).order_by(events.c.id)


def insert_bulk(tx: Connection, row: Mapping[str, Any]) -> int:
    """Insert a bulk command and return its id."""
    id_: int = tx.execute(insert(bulks).returning(bulks.c.id), row).scalar_one()
    return id_


def measure(
    tx: Connection, completions: Sequence[Completion], workflow: str | None, owner_id: int | None
) -> dict[str, int]:
    """Return what fixes the operations meant: the newest operation and event, and the number of matches."""
    newest = tx.execute(select(func.coalesce(func.max(operations.c.id), 0))).scalar_one()
    event = tx.execute(select(func.coalesce(func.max(events.c.id), 0))).scalar_one()
    query = select(func.count()).where(operations.c.completion.in_(completions), operations.c.id <= newest)
    if workflow is not None:
        query = query.where(operations.c.workflow == workflow)
    if owner_id is not None:
        query = query.where(operations.c.requester_id == owner_id)
    return {"newest": newest, "newest_event": event, "total": tx.execute(query).scalar_one()}


def find_bulk(tx: Connection, bulk_id: int) -> Bulk | None:
    """Return the bulk command of that id."""
    return _first(tx, _ALL.where(bulks.c.id == bulk_id))


def bulk_of_key(tx: Connection, requester_id: int, key: str) -> Bulk | None:
    """Return the bulk command that this requester made under that idempotency key."""
    return _first(tx, _ALL.where(bulks.c.requester_id == requester_id, bulks.c.idempotency_key == key))


def list_bulks(tx: Connection, *, requester_id: int | None, before_id: int | None, limit: int) -> list[Bulk]:
    """Return bulk commands, newest first.

    Args:
        tx: A transaction.
        requester_id: Only those of this user; None for all.
        before_id: Only those with a smaller id; None for all.
        limit: Maximum number of rows.
    """
    query = _ALL.order_by(bulks.c.id.desc()).limit(limit)
    if requester_id is not None:
        query = query.where(bulks.c.requester_id == requester_id)
    if before_id is not None:
        query = query.where(bulks.c.id < before_id)
    return list(map(_bulk, tx.execute(query)))


def due_bulks(tx: Connection, now: float, limit: int) -> list[Bulk]:
    """Return the bulk commands that are due, the longest due first."""
    return list(map(_bulk, tx.execute(_DUE, {"now": now, "limit": limit})))


def next_due_bulk(tx: Connection) -> float | None:
    """Return when the next bulk command is due, in epoch seconds."""
    due: float | None = tx.execute(_NEXT_DUE).scalar()
    return due


def work_on(tx: Connection, bulk: Bulk, place: int, **changed: Any) -> bool:
    """Record the progress of a bulk command; return False if another worker was first, or it was stopped."""
    statement = update(bulks).where(*_HERE).values(place=place, **changed)
    return tx.execute(statement, {"key_id": bulk.id, "key_place": bulk.place}).rowcount == 1


def stop_bulk(tx: Connection, bulk_id: int, who: str, now: float) -> bool:
    """Stop a bulk command; return False if it was finished."""
    statement = _STOP.values(finished_at=now, stopped_by=who)
    return tx.execute(statement, {"key_id": bulk_id}).rowcount == 1


def delete_bulks(tx: Connection, before: float) -> int:
    """Delete bulk commands that finished before that moment; return how many."""
    return tx.execute(bulks.delete().where(bulks.c.finished_at < before)).rowcount


def candidates(tx: Connection, bulk: Bulk, completions: Collection[Completion], *, look_at: int, give: int) -> Found:
    """Return the next operations that are in one of these states now.

    Args:
        tx: A transaction.
        bulk: The bulk command, which says where to continue.
        completions: The states.
        look_at: Maximum rows to read for each state.
        give: Maximum operations to return.
    """
    found: list[int] = []
    up_to = bulk.newest
    for completion in sorted(completions):
        rows = tx.execute(_next_at(bulk, completion, look_at)).all()
        found += [id_ for id_, workflow, requester_id in rows if _is_of(bulk, workflow, requester_id)]
        if len(rows) == look_at:
            up_to = min(up_to, rows[-1][0])
    ids = sorted(one for one in found if one <= up_to)
    return Found(ids, up_to) if len(ids) <= give else Found(ids[:give], ids[give - 1])


def _next_at(bulk: Bulk, completion: Completion, limit: int) -> Select[Any]:
    """Return a range of the index on completion; other conditions are checked row by row, so the range stays short."""
    columns = operations.c.id, operations.c.workflow, operations.c.requester_id
    at = operations.c.completion == completion
    after = select(*columns).where(at, operations.c.id > bulk.place, operations.c.id <= bulk.newest)
    return after.order_by(operations.c.id).limit(limit)


def _is_of(bulk: Bulk, workflow: str, requester_id: int) -> bool:
    return bulk.workflow in (None, workflow) and bulk.owner_id in (None, requester_id)


def moves_around(tx: Connection, operation_id: int, newest_event: int) -> tuple[Completion | None, list[Completion]]:
    """Return the state of the operation at that event, and its next two states since."""
    key = {"operation_id": operation_id, "newest": newest_event}
    then: str | None = tx.execute(_THEN, key | {"limit": 1}).scalar()
    since: Iterable[str] = tx.execute(_SINCE, key | {"limit": 2}).scalars()
    return None if then is None else Completion(then), [Completion(one) for one in since]


def _first(tx: Connection, query: Select[Any]) -> Bulk | None:
    row = tx.execute(query).first()
    return None if row is None else _bulk(row)


def _bulk(row: Any) -> Bulk:
    id_, requester_id, who, verb, workflow, completions, *rest = row
    stood = tuple(map(Completion, json.loads(completions)))
    return Bulk(id_, requester_id, who, Verb(verb), workflow, stood, *rest)
