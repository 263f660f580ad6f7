"""Statements on claims, cursors of running steps, and steps that are due to be published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Float, bindparam, case, delete, exists, insert, literal, or_, select, text, update

from pausable.db.operations import NOBODY_IS_LOST, NOTHING_RUNS, OPERATION_COLUMNS, Operation
from pausable.db.statements import Prepared
from pausable.db.steps import Running
from pausable.db.tables import lost_claims, operations, steps, workers
from pausable.db.transitions import TASK_COLUMNS, StepTask
from pausable.model.states import CLAIMABLE, REQUESTING, Completion, StepState

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from pausable.db.transitions import Holder

_S = StepState


@dataclass(frozen=True, slots=True)
class HeldClaim:
    """A claim and the process that holds it, or held it before it was taken away; times are epoch seconds.

    `held_since` is when the claim was made, or taken away. The worker's columns are None if an earlier version took the
    claim from a program that was not a worker.
    """

    operation_id: int
    number: int
    claim: int
    slug: str
    losses: int
    held_since: float | None
    process: int | None
    process_start: int | None
    worker_id: int | None
    host: str | None
    boot_id: str | None
    pid: int | None
    start_time: int | None
    heartbeat: int | None
    stopped_at: float | None


_WORKER = (
    workers.c.id,
    workers.c.host,
    workers.c.boot_id,
    workers.c.pid,
    workers.c.start_time,
    workers.c.heartbeat,
    workers.c.stopped_at,
)
# A literal, because SQLite uses a partial index only if the condition is written as in the index.
_HELD = (
    select(
        steps.c.operation_id,
        steps.c.number,
        steps.c.claim,
        steps.c.slug,
        steps.c.losses,
        steps.c.started_at,
        steps.c.process,
        steps.c.process_start,
        *_WORKER,
    )
    .outerjoin(workers, workers.c.id == steps.c.worker_id)
    .where(text("steps.state = 'Running'"))
)
_LOST = (
    select(
        lost_claims.c.operation_id,
        lost_claims.c.number,
        lost_claims.c.claim,
        steps.c.slug,
        steps.c.losses,
        lost_claims.c.lost_at,
        lost_claims.c.process,
        lost_claims.c.process_start,
        *_WORKER,
    )
    .join(steps, (steps.c.operation_id == lost_claims.c.operation_id) & (steps.c.number == lost_claims.c.number))
    .outerjoin(workers, workers.c.id == lost_claims.c.worker_id)
    .order_by(lost_claims.c.operation_id, lost_claims.c.number, lost_claims.c.claim)
)
_CLAIMED = (
    (steps.c.operation_id == bindparam("key_operation"))
    & (steps.c.number == bindparam("key_number"))
    & (steps.c.state == _S.RUNNING)
    & (steps.c.claim == bindparam("key_claim"))
)
_NOBODYS = {"worker_id": None, "process": None, "process_start": None}
_TAKE_AWAY = (
    update(steps)
    .where(_CLAIMED)
    .values(
        state=_S.QUEUED,
        claim=steps.c.claim + 1,
        losses=steps.c.losses + bindparam("lost"),
        due_at=bindparam("due_at"),
        publishes=0,
        **_NOBODYS,
    )
    .returning(*TASK_COLUMNS)
)
_TAKE_OVER = (
    update(steps)
    .where(_CLAIMED)
    .values(
        claim=steps.c.claim + 1,
        losses=steps.c.losses + bindparam("lost"),
        worker_id=bindparam("worker_id"),
        process=bindparam("process"),
        process_start=bindparam("process_start"),
    )
    .returning(*TASK_COLUMNS)
)
_KEEP = insert(lost_claims)
_OF_OPERATION = lost_claims.c.operation_id == bindparam("key_operation")
_IS_CANCEL = operations.c.completion == str(Completion.REQUESTING_CANCEL)
_IS_PAUSE = operations.c.completion == str(Completion.REQUESTING_PAUSE)
_CAN_DRAIN = (or_(_IS_CANCEL, _IS_PAUSE & NOBODY_IS_LOST), NOTHING_RUNS)
_DRAINABLE = Prepared(select(*OPERATION_COLUMNS).where(operations.c.id == bindparam("operation_id"), *_CAN_DRAIN))
#: The key is built by concatenation: otherwise SQLite scans the keys of all operations.
_KEY = operations.c.id + 0
_ALL_DRAINABLE = (
    select(operations.c.id)
    .where(operations.c.completion.in_(sorted(REQUESTING)), bindparam("after") < _KEY, *_CAN_DRAIN)
    .order_by(_KEY)
    .limit(bindparam("limit"))
)
_CONFIRM = delete(lost_claims).where(
    _OF_OPERATION, lost_claims.c.number == bindparam("key_number"), lost_claims.c.claim == bindparam("key_claim")
)
_ACCEPT = delete(lost_claims).where(_OF_OPERATION)


def drainable(tx: Connection, operation_id: int) -> Operation | None:
    """Return the operation if a pause or cancel of it was requested and can take effect: nothing of it runs.

    A pause also waits for the former holders of claims that are not proven gone.
    """
    row = _DRAINABLE.first(tx, {"operation_id": operation_id})
    return row and Operation.from_row(row)


def all_drainable(tx: Connection, after: int, limit: int) -> list[int]:
    """Return up to `limit` ids above `after` of operations whose requested pause or cancel can take effect."""
    return list(tx.execute(_ALL_DRAINABLE, {"after": after, "limit": limit}).scalars())


def held_claims(tx: Connection) -> list[HeldClaim]:
    """Return every held claim: one per running step."""
    rows: Any = tx.execute(_HELD)
    # Sorted in Python: with ORDER BY, SQLite reads all steps instead of the running ones.
    return sorted((HeldClaim(*row) for row in rows), key=lambda one: (one.operation_id, one.number))


def take_away(tx: Connection, held: HeldClaim, *, is_loss: bool, due_at: float) -> StepTask | None:
    """Queue a step again and invalidate its holder's claim; return None if the claim is no longer held."""
    row = tx.execute(_TAKE_AWAY, _key(held) | {"lost": int(is_loss), "due_at": due_at}).first()
    return StepTask(*row) if row else None


def take_over(tx: Connection, held: HeldClaim, holder: Holder, *, is_loss: bool) -> StepTask | None:
    """Give a claim to another holder, which settles the step without running it; None if it is no longer held."""
    mine = {"worker_id": holder.worker_id, "process": holder.process, "process_start": holder.process_start}
    row = tx.execute(_TAKE_OVER, _key(held) | mine | {"lost": int(is_loss)}).first()
    return StepTask(*row) if row else None


def keep_lost(tx: Connection, held: HeldClaim, now: float) -> None:
    """Record a claim that was taken from a holder that is not proven gone."""
    named = ("operation_id", "number", "claim", "worker_id", "process", "process_start")
    tx.execute(_KEEP, {name: getattr(held, name) for name in named} | {"lost_at": now})


def lost_claims_of(tx: Connection, operation_id: int | None = None) -> list[HeldClaim]:
    """Return the claims whose former holders are not proven gone, of one operation or of all."""
    query = _LOST if operation_id is None else _LOST.where(lost_claims.c.operation_id == operation_id)
    rows: Any = tx.execute(query)
    return [HeldClaim(*row) for row in rows]


def unconfirmed_steps(tx: Connection, operation_id: int) -> list[Running]:
    """Return the steps of an operation whose former holders are not proven gone."""
    lost = lost_claims_of(tx, operation_id)
    return [Running(one.number, one.slug, one.held_since or 0.0, one.host, one.process, False) for one in lost]


def confirm(tx: Connection, operation_id: int, number: int, claim: int) -> bool:
    """Record that the former holder of this claim has ended; return False if that was recorded before."""
    return tx.execute(_CONFIRM, {"key_operation": operation_id, "key_number": number, "key_claim": claim}).rowcount > 0


def forget_unconfirmed(tx: Connection, operation_id: int) -> int:
    """Forget all former holders of an operation's claims at a person's request; return how many."""
    return tx.execute(_ACCEPT, {"key_operation": operation_id}).rowcount


def _key(held: HeldClaim) -> dict[str, int]:
    return {"key_operation": held.operation_id, "key_number": held.number, "key_claim": held.claim}


@dataclass(frozen=True, slots=True)
class Kept:
    """A cursor as JSON, and the progress that the code reported with it."""

    place: str
    done: int | None = None
    total: int | None = None


_KEEP_PLACE = Prepared(
    update(steps)
    .where(
        steps.c.operation_id == bindparam("key_operation"),
        steps.c.number == bindparam("key_number"),
        steps.c.state == StepState.RUNNING,
        steps.c.claim == bindparam("key_claim"),
    )
    .values(
        cursor=bindparam("cursor"),
        done=bindparam("done"),
        total=bindparam("total"),
        losses=case((steps.c.cursor == bindparam("cursor"), steps.c.losses), else_=0),
    )
)


def keep_place(tx: Connection, operation_id: int, number: int, claim: int, kept: Kept) -> bool:
    """Save the cursor of a step and reset its losses if it moved; return False if the claim is no longer held.

    This needs no lock on the operation: whatever takes the claim away increments its number.
    """
    key = {"key_operation": operation_id, "key_number": number, "key_claim": claim}
    return _KEEP_PLACE.change(tx, {**key, "cursor": kept.place, "done": kept.done, "total": kept.total}) == 1


@dataclass(frozen=True, slots=True)
class Due:
    """A step that is due to be published, again or after the wait of a retry."""

    operation_id: int
    number: int
    publishes: int


@dataclass(frozen=True, slots=True)
class Unclaimed:
    """A step that was published at that time and has not been claimed."""

    step: StepTask
    due: Due
    published_at: float


# Literals, because SQLite uses a partial index only if the condition is written as in the index.
_IS_DUE = text("steps.state IN ('Queued', 'Retrying') AND NOT steps.parked")
#: A step that waits for a retry keeps its time while its operation is paused, and is parked meanwhile so that no sweep
#: reads it. Operations paused by versions before parking may have unparked ones.
_WAITS = _IS_DUE & exists().where(
    operations.c.id == steps.c.operation_id, operations.c.completion.in_(sorted(CLAIMABLE))
)
_DUE = (
    select(steps.c.operation_id, steps.c.number, steps.c.publishes)
    .where(_WAITS, steps.c.due_at <= bindparam("now"))
    .order_by(steps.c.due_at)
    .limit(bindparam("limit"))
)
#: When a queued step was last published: its wait doubles each time.
_PUBLISHED_AT = steps.c.due_at - bindparam("wait", type_=Float) * literal(1).bitwise_lshift(steps.c.publishes)
_UNCLAIMED = (
    select(*TASK_COLUMNS, steps.c.operation_id, steps.c.publishes, _PUBLISHED_AT)
    .where(
        _WAITS,
        steps.c.state == _S.QUEUED,
        steps.c.due_at > bindparam("now"),
        bindparam("before", type_=Float) >= _PUBLISHED_AT,
    )
    .order_by(steps.c.due_at)
    .limit(bindparam("limit"))
)
_NEXT_DUE = select(steps.c.due_at).where(_WAITS).order_by(steps.c.due_at).limit(1)


def due_steps(tx: Connection, now: float, limit: int) -> list[Due]:
    """Return the steps that are due, the longest due first."""
    return [Due(*row) for row in tx.execute(_DUE, {"now": now, "limit": limit})]


def unclaimed_steps(tx: Connection, *, now: float, before: float, wait: float, limit: int) -> list[Unclaimed]:
    """Return queued steps that were published and have not been claimed since.

    Args:
        tx: A transaction.
        now: Epoch seconds.
        before: Only steps last published before this moment.
        wait: Seconds before the first republishing.
        limit: Maximum number of rows.
    """
    rows = tx.execute(_UNCLAIMED, {"now": now, "before": before, "wait": wait, "limit": limit})
    return [
        Unclaimed(StepTask(*task), Due(operation_id, task[0], publishes), published_at)
        for *task, operation_id, publishes, published_at in rows
    ]


def next_due(tx: Connection) -> float | None:
    """Return when the next step is due, in epoch seconds."""
    due: float | None = tx.execute(_NEXT_DUE).scalar()
    return due
