"""Settle steps: one transaction that records how they ended and releases or holds what waits for them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from celery.exceptions import SoftTimeLimitExceeded

from pausable import clock
from pausable.canvas.values import compact, encode, stored
from pausable.db import transitions as store
from pausable.db.database import is_outage
from pausable.db.operations import Operation, lock_operation, save
from pausable.db.steps import find_step, queued_after
from pausable.engine.announce import Announcer
from pausable.engine.change import until_committed
from pausable.engine.finish import (
    End,
    EndAsked,
    Propagated,
    asked_to_pause,
    cancelled_if_idle,
    counted,
    cut_short,
    error_of,
    finished,
    kept_end,
    placed,
    propagate,
    tell,
)
from pausable.engine.outcome import Ending, failed
from pausable.engine.publish import earliest, next_publish, not_before
from pausable.engine.replace import replace_step
from pausable.errors import ClaimLost
from pausable.model.graph import outline_of
from pausable.model.states import DONE, ENDED, FINAL, REQUESTING, Completion, StepState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pausable.db.database import Connection
    from pausable.db.transitions import StepTask
    from pausable.engine.engine import Engine
    from pausable.engine.outcome import Ended

if TYPE_CHECKING:
    #: Whether the caller would run a step, the operation standing so, behind so many that it has taken already.
    MayTake = Callable[[Completion, StepTask, int], bool]

#: Steps that a slice claims at a time at the most.
AT_ONCE: Final = 16


def take_ready(
    tx: Connection, engine: Engine, operation: Operation, ready: Sequence[StepTask], may_take: MayTake, now: float
) -> list[StepTask]:
    """Claim, behind the step that the caller goes on with, those of the ready steps that it would run too."""
    taken = list(_fitting(operation, ready, may_take, range(1, _at_once(engine))))
    for step in taken:
        if not store.claim_next(tx, operation.id, step, engine.holder(), now):
            raise ClaimLost(operation.id)
    return [step.claimed() for step in taken]


def take_queued(
    tx: Connection, engine: Engine, operation: Operation, after: int, may_take: MayTake, now: float
) -> list[StepTask]:
    """Claim steps that were queued before and that nobody has claimed: what is published of them finds them taken."""
    many = _at_once(engine)
    fitting = _fitting(operation, queued_after(tx, operation.id, after, many), may_take, range(many))
    claimed = (store.claim_step(tx, operation.id, step.number, engine.holder(), now) for step in fitting)
    return [step for step in claimed if step]


def _at_once(engine: Engine) -> int:
    """One that a worker dies of takes the others with it, begun or not: where that is not forgiven, one at a time."""
    return AT_ONCE if engine.max_losses > 1 else 1


def _fitting(
    operation: Operation, steps: Iterable[StepTask], may_take: MayTake, places: Iterable[int]
) -> Iterator[StepTask]:
    """The first of these steps, as far as there are places and the caller would run them one after another."""
    if operation.completion is not Completion.IN_PROGRESS:
        return
    for many, step in zip(places, steps, strict=False):
        is_asked_first = step.clause and not step.passed
        if is_asked_first or not may_take(operation.completion, step, many):
            return
        yield step


if TYPE_CHECKING:
    MayGoOn = Callable[[Completion, StepTask], bool]


@dataclass(frozen=True, slots=True)
class InHand:
    """A step whose code runs now while the table does not know of its claim yet."""

    step: StepTask
    started_at: float


@dataclass(frozen=True, slots=True)
class Settled:
    """What is to be done once the transaction is committed."""

    completion: Completion
    next: StepTask | None = None
    ask: StepTask | None = None
    publish: tuple[StepTask, ...] = ()
    #: Claimed too: the caller runs them after `next`, or gives them back.
    siblings: tuple[StepTask, ...] = ()
    #: Whether `next` is one of several that may run beside each other.
    is_beside: bool = False
    #: When the first of those that became ready starts that wait for their own time.
    due: float | None = None
    #: The failures that were recorded in the place of ends that could not be.
    failed: tuple[Ended, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """What the caller of `settle` would run itself: whether a step that became ready, and how many beside each other.

    `decided` is what came of it, noted before each commit: one that gives no answer may have been made.
    """

    may_go_on: MayGoOn = lambda _completion, _step: False
    may_take: MayTake = lambda _completion, _step, _many: False
    decided: list[Settled] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Report:
    """What the caller of `settle` tells, and when."""

    ended: Sequence[Ended]
    in_hand: InHand | None
    choice: Choice
    end: End | None
    now: float


def settle(
    engine: Engine,
    operation_id: int,
    ended: Sequence[Ended],
    *,
    in_hand: InHand | None = None,
    choice: Choice | None = None,
    end: End | None = None,
) -> Settled:
    """Record how steps ended, and say what comes next.

    `choice` tells what the caller would itself run of that; `end`, how the operation ends if it does, where its state
    handlers have been asked. Raises ClaimLost when one of the steps is no longer the caller's, EndAsked when those
    handlers are yet to be asked; then nothing is written.
    """
    report = _Report(ended, in_hand, choice or Choice(), end, clock.now())
    settled, after, is_news = _write(engine, operation_id, report)
    if is_news:
        engine.wake_sweeper()
    engine.expect(settled.due)
    if after.completion in ENDED:
        engine.metrics.count_finished(after)
    return settled


def _write(engine: Engine, operation_id: int, report: _Report) -> tuple[Settled, Operation, bool]:
    """Settle in one transaction; returns what comes next, the operation, and whether anybody is to be told."""
    with engine.database.write() as tx:
        operation = lock_operation(tx, operation_id)
        if operation is None:
            raise ClaimLost(operation_id)
        report = replace(report, ended=placed(operation, report.ended, report.now + engine.republish_after))
        _record(tx, engine, operation_id, report.ended, report.in_hand)
        settled, after = _move_on(tx, engine, operation, report)
        if not save(tx, operation, after):
            raise ClaimLost(operation_id)
        tell(tx, operation, after, report.ended, report.now)
        is_news = _announce(Announcer(tx, engine, report.now), operation, after, report, settled.next)
        settled = replace(settled, completion=after.completion)
        report.choice.decided.append(settled)
    return settled, after, is_news


def _move_on(tx: Connection, engine: Engine, operation: Operation, report: _Report) -> tuple[Settled, Operation]:
    """Let what waited for these ends begin or end, and the operation with it; returns how it stands then."""
    ended, end, now = report.ended, report.end, report.now
    if end and end.is_cut:
        return Settled(end.completion), cut_short(tx, counted(operation, ended, Propagated()), end, now)
    found = propagate(tx, operation.id, ended, now)
    present, ready = _grown(tx, engine, asked_to_pause(operation, ended), report, found.ready)
    settled = _release(tx, engine, present, ready, report.choice, now)
    stopped = [one.step for one in ended if one.ending.state is StepState.QUEUED]
    settled = replace(settled, publish=(*stopped, *settled.publish))
    after = counted(present, ended, found)
    if after.steps_left == 0:
        return settled, finished(tx, engine, after, ended, end, now)
    if settled.next is None and report.in_hand is None:
        settled = _beside(tx, engine, after, report, settled)
    if settled.next is None and report.in_hand is None:
        return settled, cancelled_if_idle(tx, after, now)
    return settled, after


def _beside(tx: Connection, engine: Engine, operation: Operation, report: _Report, settled: Settled) -> Settled:
    """Go on with steps that others were told of before, where nothing that became ready is gone on with."""
    if settled.ask or settled.publish:
        return settled
    taken = take_queued(tx, engine, operation, report.ended[-1].step.number, report.choice.may_take, report.now)
    return replace(settled, next=taken[0], siblings=tuple(taken[1:]), is_beside=True) if taken else settled


def _grown(
    tx: Connection, engine: Engine, operation: Operation, report: _Report, ready: list[StepTask]
) -> tuple[Operation, list[StepTask]]:
    """The operation with what its steps put in their own places, and all that is ready then."""
    found = {step.number: step for step in ready}
    for one in report.ended:
        if one.ending.graph is not None:
            operation, more = replace_step(tx, engine, operation, one.step, one.ending.graph)
            found |= {step.number: step for step in more}
    return operation, [found[number] for number in sorted(found)]


def _record(tx: Connection, engine: Engine, operation_id: int, ended: Iterable[Ended], in_hand: InHand | None) -> None:
    rows = [_row(operation_id, one) for one in ended]
    if rows and not store.record(tx, rows):
        raise ClaimLost(operation_id)
    if in_hand and not store.claim_next(tx, operation_id, in_hand.step, engine.holder(), in_hand.started_at):
        raise ClaimLost(operation_id)


def _row(operation_id: int, one: Ended) -> dict[str, Any]:
    step, ending = one.step, one.ending
    again = ending.again or {}
    is_called_anew = not again.keys().isdisjoint(_CALLED)
    signature = _signature_again(step, again) if is_called_anew else step.signature
    return {
        "key_operation": operation_id,
        "key_number": step.number,
        "key_state": StepState.RUNNING if one.claimed else StepState.PENDING,
        "key_claim": step.claim,
        "state": ending.state,
        "claim": step.claim if one.claimed else step.claim + 1,
        "runs": step.runs - (one.started_at is None) if one.claimed else step.runs + 1,
        "retries": again.get("retries", step.retries),
        "signature": signature,
        "is_called_anew": is_called_anew,
        "outline": outline_of(signature) if is_called_anew else None,
        "result": ending.result,
        "error": ending.error,
        "message": ending.message,
        "is_well": ending.state in DONE,
        "has_place": ending.kept is not None,
        "place": ending.kept and ending.kept.place,
        "place_done": ending.kept and ending.kept.done,
        "place_total": ending.kept and ending.kept.total,
        "due_at": None if ending.state is StepState.PAUSED else ending.due_at,
        "started_at": one.started_at,
        "finished_at": one.finished_at if ending.state in FINAL else None,
    }


def _signature_again(step: StepTask, again: Any) -> str:
    """The signature with what a retry asks for; its arguments are complete, nothing is put before them."""
    call = step.call
    if "options" in again:
        call = {**call, "options": {**call.get("options", {}), **stored(again["options"])}}
    if "args" in again:
        asked = {name: stored(again[name], around=1) for name in ("args", "kwargs")}
        call = {**call, **asked, "complete": True, "immutable": True}
    return compact(call)


#: What of a call a retry may ask to be other than it was.
_CALLED: Final = frozenset({"args", "options"})


def _release(
    tx: Connection,
    engine: Engine,
    operation: Operation,
    ready: list[StepTask],
    choice: Choice,
    now: float,
) -> Settled:
    """Decide for each ready step: hold it, go on with it, ask its clause, or queue it for whoever comes first."""
    if not ready or operation.completion is Completion.REQUESTING_CANCEL:
        return Settled(operation.completion)
    free: list[StepTask] = []
    held: list[int] = []
    for step in ready:
        if is_held(operation.completion, step):
            held.append(step.number)
        else:
            free.append(step)
    store.hold(tx, operation.id, held)
    mine = next((step for step in free if not step.clause and choice.may_go_on(operation.completion, step)), None)
    if mine and not store.claim_next(tx, operation.id, mine, engine.holder(), now):
        raise ClaimLost(operation.id)
    others = [step for step in free if step is not mine]
    is_short = mine is not None and choice.may_take(operation.completion, mine, 0)
    siblings = take_ready(tx, engine, operation, others, choice.may_take, now) if is_short else []
    publish = queue(tx, engine, operation.id, others[len(siblings) :], now)
    due = earliest((step.call for step in others), now)
    if mine:
        taken = tuple(siblings)
        return Settled(operation.completion, mine.claimed(), None, tuple(publish), taken, bool(siblings), due)
    to_ask = next((step for step in publish if step.clause), None)
    rest = tuple(step for step in publish if step is not to_ask)
    return Settled(operation.completion, None, to_ask, rest, due=due)


def queue(tx: Connection, engine: Engine, operation_id: int, ready: list[StepTask], now: float) -> list[StepTask]:
    """Queue ready steps; returns those to publish at once: of several behind one clause, the first asks for all."""
    wait = engine.republish_after
    store.release(tx, operation_id, {step.number: next_publish(step.call, now, wait) for step in ready})
    return _one_for_each_clause([step for step in ready if not_before(step.call, now) is None])


def _one_for_each_clause(ready: list[StepTask]) -> list[StepTask]:
    """Those that wait for nothing but a worker, and the first behind each clause: it asks for all that wait there."""
    asking = {step.point: step for step in reversed(ready) if step.clause}
    return [step for step in ready if not step.clause or step is asking[step.point]]


def is_held(completion: Completion, step: StepTask) -> bool:
    """The pause decision for a step that became ready: it waits behind a point and a pause is requested."""
    return completion is Completion.REQUESTING_PAUSE and step.point is not None and not step.passed


def _announce(
    announcer: Announcer, before: Operation, after: Operation, report: _Report, begun: StepTask | None
) -> bool:
    is_news = announcer.ends(after, report.ended)
    if begun:
        is_news |= announcer.start(after, begun)
    if before.completion is after.completion:
        return is_news
    is_unasked = after.completion is Completion.CANCELLED and report.end is None
    return (announcer.rest if is_unasked else announcer.operation)(before, after) or is_news


def is_waiting_for_drain(settled: Settled) -> bool:
    """Whether a pause or cancel is requested and this worker goes on with nothing."""
    return settled.completion in REQUESTING and settled.next is None and settled.ask is None


#: Where a step may stand that has stopped at its cursor.
_STOPPED: Final = (StepState.QUEUED, StepState.PAUSED, StepState.CANCELLED)
_UNRECORDED: Final = "How the step ended could not be recorded; the log of its worker has the whole error."

_log: Final = logging.getLogger(__name__)


def settle_and_confirm(
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

    def attempt() -> Settled:
        return settle(engine, operation_id, ended, choice=asked, **options)

    def made() -> Settled | None:
        return asked.decided[-1] if asked.decided and _is_written(engine, operation_id, ended) else None

    try:
        return until_committed(attempt, made)
    except EndAsked as end:  # nothing was written: the author's handlers are asked under no lock
        options["end"] = kept_end(engine, end)
        return until_committed(attempt, made)


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
