"""The statements by which a step puts others in its own place, and by which that is taken back before a retry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, func, insert, select, update

from app.domain.growth import Growth
from app.domain.states import StepState
from app.store.laying import insert_edges
from app.store.prepared import Prepared
from app.store.steps import TASK_COLUMNS, StepTask
from app.store.tables import edges, growths, steps

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Waiting:
    """A step that waits for another, and for how many it waits."""

    number: int
    waiting: int
    is_pending: bool


_OF_STEPS = steps.c.operation_id == bindparam("key_operation")
_OF_EDGES = edges.c.operation_id == bindparam("key_operation")
_LAST: Final = select(func.max(steps.c.number), func.max(steps.c.point)).where(_OF_STEPS)
_WAITING: Final = (
    select(steps.c.number, steps.c.waiting, steps.c.state == StepState.PENDING)
    .join(edges, (edges.c.operation_id == steps.c.operation_id) & (edges.c.downstream == steps.c.number))
    .where(_OF_STEPS, edges.c.upstream == bindparam("key_number"))
    .order_by(steps.c.number)
)
_CUT: Final = delete(edges).where(_OF_EDGES, edges.c.upstream == bindparam("key_number"))
_READY: Final = (
    select(*TASK_COLUMNS)
    .where(_OF_STEPS, steps.c.state == StepState.PENDING, steps.c.waiting == 0)
    .order_by(steps.c.number)
)
_MOVE: Final = Prepared(
    update(steps).where(_OF_STEPS, steps.c.number == bindparam("key_number")).values(waiting=bindparam("waiting"))
)
_OF_GROWTHS = growths.c.operation_id == bindparam("key_operation")
_LAST_EVER: Final = select(func.max(growths.c.last)).where(_OF_GROWTHS)
_GROWTHS: Final = select(growths.c.number, growths.c.growth).where(_OF_GROWTHS, growths.c.growth.is_not(None))
_INPUTS: Final = select(steps.c.number, steps.c.inputs).where(_OF_STEPS)
_SLUGS: Final = select(steps.c.slug).where(_OF_STEPS)
_AT_ONCE: Final = 500
_REFERENCE: Final = (
    update(steps).where(_OF_STEPS, steps.c.number == bindparam("key_number"), steps.c.reference).values(reference=False)
)


def last_numbers(tx: Connection, operation_id: int) -> tuple[int, int]:
    """The largest number that a step of the operation ever had, and that of a pause point, 0 where there is none.

    The number of a step that was removed is given to no other: a worker may still hold a claim on it.
    """
    key = {"key_operation": operation_id}
    number, point = tx.execute(_LAST, key).one()
    removed: int | None = tx.execute(_LAST_EVER, key).scalar()
    return max(int(number), removed or 0), int(point or 0)


def slugs_within(tx: Connection, operation_id: int, prefix: str) -> set[str]:
    """The slugs of the operation that begin so."""
    begins = func.substr(steps.c.slug, 1, len(prefix)) == prefix
    return set(tx.execute(_SLUGS.where(begins), {"key_operation": operation_id}).scalars())


def keep_growth(tx: Connection, operation_id: int, number: int, growth: Growth, last: int) -> None:
    """Keep what a step put in its own place; `last` is the largest number of these."""
    row = {"operation_id": operation_id, "number": number, "last": last, "growth": growth.as_json()}
    mine = (growths.c.operation_id == operation_id) & (growths.c.number == number)
    if not tx.execute(update(growths).where(mine).values(last=last, growth=row["growth"])).rowcount:
        tx.execute(insert(growths), row)


def lay_growths(tx: Connection, operation_id: int, kept: Mapping[int, Growth]) -> None:
    """Insert what the steps of an imported operation have put in their places."""
    rows = [
        {"operation_id": operation_id, "number": number, "last": 0, "growth": growth.as_json()}
        for number, growth in kept.items()
    ]
    if rows:
        tx.execute(insert(growths), rows)


def growths_among(tx: Connection, operation_id: int, numbers: Iterable[int]) -> dict[int, Growth]:
    """Return what those of these steps that grew have put in their own places, by their numbers."""
    found: dict[int, Growth] = {}
    every = sorted(numbers)
    for start in range(0, len(every), _AT_ONCE):
        query = _GROWTHS.where(growths.c.number.in_(every[start : start + _AT_ONCE]))
        rows = tx.execute(query, {"key_operation": operation_id})
        found |= {number: Growth.from_json(growth) for number, growth in rows}
    return found


def growths_of(tx: Connection, operation_id: int) -> dict[int, Growth]:
    """What steps of the operation have put in their own places, by their numbers."""
    rows = tx.execute(_GROWTHS, {"key_operation": operation_id})
    return {number: Growth.from_json(growth) for number, growth in rows}


def inputs_of(tx: Connection, operation_id: int, numbers: Iterable[int]) -> dict[int, str | None]:
    """What these steps are given, as JSON."""
    found: dict[int, str | None] = {}
    every = sorted(numbers)
    for start in range(0, len(every), _AT_ONCE):
        query = _INPUTS.where(steps.c.number.in_(every[start : start + _AT_ONCE]))
        found |= {number: inputs for number, inputs in tx.execute(query, {"key_operation": operation_id})}
    return found


def ungrow(tx: Connection, operation_id: int, grown: Iterable[int], gone: Collection[int]) -> None:
    """Remove the steps that others had put in their own places.

    Args:
        tx: A transaction that holds the operation.
        operation_id: The operation.
        grown: The steps that had put others in their places.
        gone: All the steps that are removed.
    """
    last = max(gone, default=0)
    for number in grown:
        mine = (growths.c.operation_id == operation_id) & (growths.c.number == number)
        tx.execute(update(growths).where(mine).values(growth=None))
        tx.execute(update(growths).where(mine, growths.c.last < last).values(last=last))
    every = sorted(gone)
    for start in range(0, len(every), _AT_ONCE):
        some = every[start : start + _AT_ONCE]
        here = (steps.c.operation_id == operation_id) & steps.c.number.in_(some)
        of_edges = edges.c.upstream.in_(some) | edges.c.downstream.in_(some)
        tx.execute(delete(edges).where(edges.c.operation_id == operation_id, of_edges))
        tx.execute(delete(steps).where(here))


def waiting_for(tx: Connection, operation_id: int, number: int) -> list[Waiting]:
    """The steps directly downstream of one."""
    rows = tx.execute(_WAITING, {"key_operation": operation_id, "key_number": number})
    return [Waiting(*row) for row in rows]


def hand_over(tx: Connection, operation_id: int, number: int, pairs: Iterable[tuple[int, int]]) -> bool:
    """Put these edges in the place of those that lead on from a step; True when its end decided the operation's."""
    key = {"key_operation": operation_id, "key_number": number}
    tx.execute(_CUT, key)
    insert_edges(tx, operation_id, pairs)
    return tx.execute(_REFERENCE, key).rowcount > 0


def restore(tx: Connection, operation_id: int, inputs: Mapping[int, str | None], deciding: Iterable[int]) -> None:
    """Write what steps are given once others are removed, and that the ends of these decide the operation's."""
    for number, given in inputs.items():
        mine = (steps.c.operation_id == operation_id) & (steps.c.number == number)
        tx.execute(update(steps).where(mine).values(inputs=given))
    for number in deciding:
        mine = (steps.c.operation_id == operation_id) & (steps.c.number == number)
        tx.execute(update(steps).where(mine).values(reference=True))


def change_waiting(tx: Connection, operation_id: int, waiting: Sequence[Waiting]) -> None:
    """Write for how many steps others wait now."""
    keys = [{"key_operation": operation_id, "key_number": one.number, "waiting": one.waiting} for one in waiting]
    if keys:
        _MOVE.change_many(tx, keys)


def ready_among(tx: Connection, operation_id: int, numbers: Iterable[int]) -> list[StepTask]:
    """Return those of these steps that are pending and wait for nothing."""
    every = sorted(numbers)
    found: list[StepTask] = []
    for start in range(0, len(every), _AT_ONCE):
        query = _READY.where(steps.c.number.in_(every[start : start + _AT_ONCE]))
        rows: Any = tx.execute(query, {"key_operation": operation_id})
        found += [StepTask(*row) for row in rows]
    return found
