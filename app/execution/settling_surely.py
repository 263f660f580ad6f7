"""After a commit that ended in an error, read again: what stands recorded under this worker's claims was committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from app.domain.states import FINAL, StepState
from app.execution.asking import kept_end
from app.execution.finishing import EndAsked
from app.execution.settling import Choice, Settled, settle
from app.execution.surely import surely
from app.store.step_queries import find_step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from app.execution.engine import Engine
    from app.execution.settling import Ended

#: Where a step may stand that has stopped at its cursor.
_STOPPED: Final = (StepState.QUEUED, StepState.PAUSED, StepState.CANCELLED)


def settle_surely(
    engine: Engine, operation_id: int, ended: Sequence[Ended], *, choice: Choice | None = None, **options: Any
) -> Settled:
    """Settle as `settle` does, as often as the database refuses for the moment: what has run is not run again.

    Raises ClaimLost.
    """
    asked = choice or Choice()

    def once() -> Settled:
        if asked.decided and _is_written(engine, operation_id, ended):
            return asked.decided[-1]
        return settle(engine, operation_id, ended, choice=asked, **options)

    try:
        return surely(once)
    except EndAsked as end:  # nothing was written: the author's handlers are asked under no lock
        options["end"] = kept_end(engine, end)
        return surely(once)


def _is_written(engine: Engine, operation_id: int, ended: Sequence[Ended]) -> bool:
    """Whether a transaction was committed that gave no answer.

    What has ended for good tells it alone, if anything has: what was given back may be in other hands by now.
    """
    telling = [one for one in ended if one.ending.state in FINAL] or ended
    with engine.database.read() as tx:
        return all(_is_recorded(tx, operation_id, one) for one in telling)


def _is_recorded(tx: Connection, operation_id: int, one: Ended) -> bool:
    found = find_step(tx, operation_id, one.step.number)
    claim = one.step.claim if one.claimed else one.step.claim + 1
    ends = _STOPPED if one.ending.state is StepState.QUEUED else (one.ending.state,)
    return found is not None and found[0].claim == claim and found[1] in ends
