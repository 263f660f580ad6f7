"""After a commit that ended in an error, read again: what stands recorded under this worker's claims was committed."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from celery.exceptions import SoftTimeLimitExceeded

from app.domain.states import FINAL, Completion, StepState
from app.errors import ClaimLost
from app.execution.asking import kept_end
from app.execution.endings import Ending, failed
from app.execution.finishing import End, EndAsked, error_of
from app.execution.settling import Choice, InHand, Settled, settle
from app.execution.surely import surely
from app.execution.values import encode
from app.store.errors import is_outage
from app.store.step_queries import find_step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from app.execution.engine import Engine
    from app.execution.settling import Ended

#: Where a step may stand that has stopped at its cursor.
_STOPPED: Final = (StepState.QUEUED, StepState.PAUSED, StepState.CANCELLED)
_UNRECORDED: Final = "How the step ended could not be recorded; the log of its worker has the whole error."

_log: Final = logging.getLogger(__name__)


def settle_surely(
    engine: Engine, operation_id: int, ended: Sequence[Ended], *, choice: Choice | None = None, **options: Any
) -> Settled:
    """Settle as `settle` does, as often as the database refuses for the moment: what has run is not run again.

    A step whose end cannot be recorded for another reason ends as Failed with that fault. `Settled.failed` are these.

    Args:
        engine: The engine.
        operation_id: The operation whose steps have ended.
        ended: How they ended.
        choice: What the caller would run next; not asked where an end cannot be recorded.
        options: `in_hand` and `end`, as `settle` takes them.

    Returns:
        What comes next.

    Raises:
        ClaimLost: One of the steps is no longer the caller's.
    """
    try:
        return _settled(engine, operation_id, ended, choice=choice, **options)
    except Exception as fault:
        _of_a_value(fault)
        _log.exception("the end of steps of operation %s could not be recorded", operation_id)
        return _settle_apart(engine, operation_id, ended, **options)


def _settled(
    engine: Engine, operation_id: int, ended: Sequence[Ended], *, choice: Choice | None = None, **options: Any
) -> Settled:
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


def _settle_apart(
    engine: Engine,
    operation_id: int,
    ended: Sequence[Ended],
    *,
    in_hand: InHand | None = None,
    end: End | None = None,
) -> Settled:
    """Settle one step after the other, so that only the one at fault fails.

    The steps that ran behind a failed one before their claims were written are not recorded: they wait for it, or are
    queued like any other.
    """
    every: list[Settled] = []
    waiting = list(ended)
    while waiting:
        one = waiting.pop(0)
        behind = _behind(waiting, in_hand)
        settled = _settle_one(engine, operation_id, one, in_hand=behind, end=end)
        every.append(settled)
        if settled.failed and behind is not None:
            waiting = [other for other in waiting if other.claimed]
            if behind is in_hand:
                raise ClaimLost(operation_id)
        elif behind is not None and waiting:
            waiting[0] = replace(waiting[0], step=behind.step.claimed(), claimed=True)
    publish = tuple(step for settled in every for step in (*settled.publish, *filter(None, [settled.ask])))
    failed_ones = tuple(one for settled in every for one in settled.failed)
    return Settled(every[-1].completion, publish=publish, failed=failed_ones)


def _behind(waiting: Sequence[Ended], in_hand: InHand | None) -> InHand | None:
    """The next step that ran, or runs, while the table does not know of its claim."""
    if not waiting:
        return in_hand
    following = waiting[0]
    if following.claimed or following.started_at is None:
        return None
    return InHand(following.step, following.started_at)


def _settle_one(engine: Engine, operation_id: int, one: Ended, *, in_hand: InHand | None, end: End | None) -> Settled:
    """Settle one step: as it ended, else as failed with the fault of that, else as failed in the fewest words."""
    try:
        return _settled(engine, operation_id, [one], in_hand=in_hand, end=end)
    except Exception as why:
        fault = _of_a_value(why)
    instead = replace(one, ending=failed(fault))
    try:
        settled = _settled(engine, operation_id, [instead], end=end and _failure(instead, end))
    except Exception as why:
        instead = replace(one, ending=_in_fewest_words(_of_a_value(why)))
        settled = _settled(engine, operation_id, [instead], end=_failure(instead, end))
    return replace(settled, failed=(instead,))


def _of_a_value(fault: Exception) -> Exception:
    """The fault, which is that of a value; any other is raised again."""
    if isinstance(fault, ClaimLost | SoftTimeLimitExceeded) or is_outage(fault):
        raise fault
    return fault


def _failure(one: Ended, end: End | None) -> End:
    return End(Completion.FAILED, error_of(one), is_cut=end is not None and end.is_cut)


def _in_fewest_words(fault: BaseException) -> Ending:
    """A failure that can be recorded whatever the fault is made of."""
    facts = {"type": ascii(type(fault).__name__)[1:-1], "message": _UNRECORDED, "traceback": ""}
    return Ending(StepState.FAILED, error=encode(facts))


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
