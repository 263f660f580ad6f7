"""The statements by which a step puts others in its own place: they take over what waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, delete, func, select, update

from app.domain.states import StepState
from app.store.laying import insert_edges
from app.store.prepared import Prepared
from app.store.tables import edges, steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Waiting:
    """A step that waits for another: what it is given (JSON), and for how many it waits."""

    number: int
    inputs: str | None
    waiting: int
    is_pending: bool


_OF_STEPS = steps.c.operation_id == bindparam("key_operation")
_OF_EDGES = edges.c.operation_id == bindparam("key_operation")
_LAST: Final = select(func.max(steps.c.number), func.max(steps.c.point)).where(_OF_STEPS)
_WAITING: Final = (
    select(steps.c.number, steps.c.inputs, steps.c.waiting, steps.c.state == StepState.PENDING)
    .join(edges, (edges.c.operation_id == steps.c.operation_id) & (edges.c.downstream == steps.c.number))
    .where(_OF_STEPS, edges.c.upstream == bindparam("key_number"))
    .order_by(steps.c.number)
)
_CUT: Final = delete(edges).where(_OF_EDGES, edges.c.upstream == bindparam("key_number"))
_MOVE: Final = Prepared(
    update(steps)
    .where(_OF_STEPS, steps.c.number == bindparam("key_number"), steps.c.state == StepState.PENDING)
    .values(inputs=bindparam("inputs"), waiting=bindparam("waiting"))
)
_REFERENCE: Final = (
    update(steps).where(_OF_STEPS, steps.c.number == bindparam("key_number"), steps.c.reference).values(reference=False)
)


def last_numbers(tx: Connection, operation_id: int) -> tuple[int, int]:
    """The largest number of a step of the operation, and of a pause point, 0 where there is none."""
    number, point = tx.execute(_LAST, {"key_operation": operation_id}).one()
    return int(number), int(point or 0)


def waiting_for(tx: Connection, operation_id: int, number: int) -> list[Waiting]:
    """The steps directly downstream of one."""
    rows = tx.execute(_WAITING, {"key_operation": operation_id, "key_number": number})
    return [Waiting(*row) for row in rows]


def hand_over(tx: Connection, operation_id: int, number: int, pairs: Iterable[tuple[int, int]]) -> bool:
    """Take away the edges that lead on from a step, and put these in; True when its end decided the operation's."""
    key = {"key_operation": operation_id, "key_number": number}
    tx.execute(_CUT, key)
    insert_edges(tx, operation_id, pairs)
    return tx.execute(_REFERENCE, key).rowcount > 0


def change_inputs(tx: Connection, operation_id: int, waiting: Sequence[Waiting]) -> None:
    """Write what pending steps are given now, and for how many they wait."""
    keys = [
        {"key_operation": operation_id, "key_number": one.number, "inputs": one.inputs, "waiting": one.waiting}
        for one in waiting
    ]
    if keys:
        _MOVE.change_many(tx, keys)
