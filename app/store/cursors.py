"""The statements that keep the place of a step that runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, case, update

from app.domain.states import StepState
from app.store.prepared import Prepared
from app.store.tables import steps

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Kept:
    """A place as JSON, and how much of how much is done there, where the code says."""

    place: str
    done: int | None = None
    total: int | None = None


_KEEP = Prepared(
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
    """Keep the place of a step; one that has moved forgets its losses. False when that claim is held no longer.

    It needs no lock on the operation: it moves nothing, and whatever takes the claim away raises its number.
    """
    key = {"key_operation": operation_id, "key_number": number, "key_claim": claim}
    return _KEEP.change(tx, {**key, "cursor": kept.place, "done": kept.done, "total": kept.total}) == 1
