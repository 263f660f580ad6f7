"""After a commit that ended in an error, read again: what stands recorded under this worker's claims was committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from app.domain.states import StepState
from app.execution.asking import kept_end
from app.execution.finishing import EndAsked
from app.execution.settling import Settled, settle
from app.execution.surely import surely
from app.store.operations import find_operation
from app.store.step_queries import find_step, queued_steps, running_steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from app.execution.engine import Engine
    from app.execution.settling import Ended, InHand
    from app.store.steps import StepTask

#: Where a step may stand that has stopped at its cursor.
_STOPPED: Final = (StepState.QUEUED, StepState.PAUSED, StepState.CANCELLED)


def settle_surely(
    engine: Engine, operation_id: int, ended: Sequence[Ended], *, in_hand: InHand | None = None, **options: Any
) -> Settled:
    """Settle as `settle` does, as often as the database refuses for the moment: what has run is not run again.

    Raises ClaimLost.
    """
    is_doubtful = False

    def once() -> Settled:
        nonlocal is_doubtful
        if is_doubtful and (settled := _written(engine, operation_id, ended, in_hand)):
            return settled
        is_doubtful = True
        return settle(engine, operation_id, ended, in_hand=in_hand, **options)

    try:
        return surely(once)
    except EndAsked as asked:  # nothing was written: the author's handlers are asked under no lock
        options["end"] = kept_end(engine, asked)
        is_doubtful = False
        return surely(once)


def _written(engine: Engine, operation_id: int, ended: Sequence[Ended], in_hand: InHand | None) -> Settled | None:
    """What a transaction has settled whose commit gave no answer; None when it was rolled back."""
    with engine.database.read() as tx:
        operation = find_operation(tx, operation_id)
        if operation is None or not all(_is_recorded(tx, operation_id, one) for one in ended):
            return None
        mine = _gone_on_with(tx, engine, operation_id, in_hand)
        return Settled(operation.completion, mine, None, tuple(queued_steps(tx, operation_id)))


def _is_recorded(tx: Connection, operation_id: int, one: Ended) -> bool:
    found = find_step(tx, operation_id, one.step.number)
    claim = one.step.claim if one.claimed else one.step.claim + 1
    ends = _STOPPED if one.ending.state is StepState.QUEUED else (one.ending.state,)
    return found is not None and found[0].claim == claim and found[1] in ends


def _gone_on_with(tx: Connection, engine: Engine, operation_id: int, in_hand: InHand | None) -> StepTask | None:
    """The step that the transaction claimed for this process, if any."""
    numbers = [one.number for one in running_steps(tx, operation_id) if one.process == engine.holder().process]
    found = (find_step(tx, operation_id, n) for n in numbers if in_hand is None or n != in_hand.step.number)
    return next((one[0] for one in found if one), None)
