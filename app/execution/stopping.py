"""A pause that is to take effect now: claims are taken away, and the processes that run the code are killed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.domain.states import Completion
from app.execution.holders import is_here, is_own_process, killed
from app.execution.losing import confirm, take_from
from app.store.claims import held_claims, lost_claims_of
from app.store.operations import completion_of

if TYPE_CHECKING:
    from app.execution.engine import Engine
    from app.store.claims import HeldClaim

_WHY: Final = "the pause was to take effect at once"


def stop_now(engine: Engine, operation_id: int, who: str) -> bool:
    """Stop what runs of an operation, to run again when it is resumed; False when nothing did.

    Whatever runs where it cannot be killed from here can write nothing more: the workers on its machine kill it, and a
    process that is a worker's only one lets go of it by itself. Until then the operation is not PAUSED.
    """
    is_any = False
    # A slice may go on with its next step while this looks: look until nothing is held, or somebody has resumed it.
    while held := _held(engine, operation_id):
        is_any = True
        for one in held:
            take_from(engine, one, who, _WHY)
    with engine.database.glance() as tx:
        lost = lost_claims_of(tx, operation_id)
    for one in lost:
        if is_here(one) and not is_own_process(one) and killed(one):
            confirm(engine, operation_id, one.number, one.claim)
    return is_any


def _held(engine: Engine, operation_id: int) -> list[HeldClaim]:
    with engine.database.glance() as tx:
        if completion_of(tx, operation_id) is not Completion.REQUESTING_PAUSE:
            return []
        return [one for one in held_claims(tx) if one.operation_id == operation_id]
