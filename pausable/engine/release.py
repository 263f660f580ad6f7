"""Take a claim away from its holder: a lost worker, a hand-back, a pause that takes effect now."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from pausable import clock
from pausable.canvas.task import is_author_error
from pausable.db import claims
from pausable.db.claims import held_claims, lost_claims_of
from pausable.db.database import retry_outages
from pausable.db.operations import completion_of
from pausable.db.steps import find_step
from pausable.engine.change import changing
from pausable.engine.drain import drain_aside
from pausable.engine.errands import run_aside
from pausable.engine.outcome import Ended, failed
from pausable.engine.settle import is_waiting_for_drain, settle_and_confirm
from pausable.engine.task import call_errbacks, is_wanted
from pausable.errors import OperationNotFound, TimeLimitPassed, WorkerLost
from pausable.model.states import CLAIMABLE, Completion, StepState
from pausable.model.times import bounded
from pausable.processes import is_gone, kill, this_boot, this_host

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pausable.db.claims import HeldClaim
    from pausable.db.transitions import StepTask
    from pausable.db.workers import Beating
    from pausable.engine.change import Change
    from pausable.engine.engine import Engine
    from pausable.engine.outcome import Ending
    from pausable.model.explanation import Held, Listening


def machine_and_boot(boot_id: str | None) -> tuple[str, str]:
    """Which machine, and which boot of it; an empty text where that is not known.

    The first workers were entered with the boot alone.
    """
    parts = (boot_id or "").split("/")
    return (parts[0], parts[1]) if len(parts) > 1 else ("", parts[0])


def is_here(one: HeldClaim | Beating | Held | Listening) -> bool:
    """Whether its process can be looked at from here: it is of this machine, this boot, and this namespace."""
    return one.host == this_host() and one.boot_id in (this_boot(), machine_and_boot(this_boot())[1])


def looked_at_worker(worker: Listening) -> Listening:
    """With whether its process is gone, where nobody knows that it has ended and it can be looked at from here."""
    if not worker.heard or not is_here(worker):
        return worker
    return replace(worker, is_gone=is_gone(worker.pid, worker.start_time))


def killed(held: HeldClaim) -> bool:
    """Kill the process that holds a claim; True once it is gone."""
    if held.process is None or held.process_start is None:  # claimed before processes were known by their start
        return held.pid is not None and held.start_time is not None and is_gone(held.pid, held.start_time)
    return kill(held.process, held.process_start)


def is_own_process(held: HeldClaim) -> bool:
    """Whether a claim is held by a worker's main process, as in the pools `threads` and `solo`, or by no worker."""
    return held.worker_id is None or held.process == held.pid


def fail(engine: Engine, operation_id: int, step: StepTask, fault: BaseException) -> None:
    """End a claimed step as Failed with this fault. Raises ClaimLost."""
    now = clock.now()
    settle_and_tell(engine, operation_id, [Ended(step, failed(fault), True, now, now)])


def settle_and_tell(engine: Engine, operation_id: int, ended: Sequence[Ended]) -> None:
    """Settle steps whose caller runs nothing more: publish what is ready, call errbacks, drain. Raises ClaimLost."""
    settled = settle_and_confirm(engine, operation_id, ended)
    engine.publisher.publish(operation_id, [*settled.publish, *filter(None, [settled.ask])])
    if any(one.ending.state is StepState.RETRYING for one in ended):
        engine.wake_sweeper()
    for one in ended_in_fact(ended, settled.failed):
        call_errbacks(engine, operation_id, one)
    if is_waiting_for_drain(settled):
        drain_aside(engine, operation_id)


def ended_in_fact(ended: Sequence[Ended], instead: Sequence[Ended]) -> list[Ended]:
    """Return the ends as they were recorded: the failures first that stand in the place of ends that could not be."""
    failures = {one.step.number for one in instead}
    return [*instead, *(one for one in ended if one.step.number not in failures)]


@dataclass(frozen=True, slots=True)
class Loss:
    """Why a claim is taken away, and by whom; `is_gone` tells that its holder was seen to run no more."""

    why: str
    is_gone: bool = True
    is_counted: bool = True
    who: str = "worker"


def lose(engine: Engine, held: HeldClaim, *, is_gone: bool, why: str, fault: Exception | None = None) -> None:
    """Take a claim from a worker that was lost; the step runs again, unless that has happened too often.

    Args:
        engine: The engine.
        held: The claim.
        is_gone: Whether its holder was seen to run no more.
        why: What the history tells.
        fault: What kept the holder from going on, where that is known: the step fails with it.
    """
    if held.losses + 1 >= engine.max_losses:
        _fail_aside(engine, held, fault or WorkerLost(held.losses + 1), Loss(why, is_gone))
    else:
        _queue(engine, held, Loss(why, is_gone))


def hand_back(engine: Engine, held: HeldClaim, *, is_gone: bool, why: str) -> None:
    """Take a claim from a holder that has ended in good order; that counts as no loss.

    Args:
        engine: The engine.
        held: The claim.
        is_gone: Whether its holder is known to run no more: an operation that is to pause waits for that.
        why: What the history says.
    """
    _queue(engine, held, Loss(why, is_gone, is_counted=False))


def take_from(engine: Engine, held: HeldClaim, who: str, why: str) -> None:
    """Take a claim from a holder that runs, because a person says so: it counts as no loss."""
    _queue(engine, held, Loss(why, is_gone=False, is_counted=False, who=who))


def give_up(engine: Engine, operation_id: int, held_here: Collection[tuple[int, int]], fault: Exception) -> None:
    """Give back what this process still holds of an operation and cannot go on with; that counts as a loss."""

    def give_back() -> None:
        for one in _still_held(engine, operation_id, held_here):
            why = f"its worker could not go on ({type(fault).__name__})"
            lose(engine, one, is_gone=True, why=why, fault=fault)

    retry_outages(give_back)


def let_go(engine: Engine, operation_id: int, held_here: Collection[tuple[int, int]]) -> None:
    """Stop for good, one of these claims having been taken away: the others are given back, which counts as no loss.

    Only then is it told that nothing of them runs here: what takes claims away does so one by one, and may be on its
    way to the next.
    """

    def give_back() -> None:
        for one in _still_held(engine, operation_id, held_here):
            hand_back(engine, one, is_gone=True, why="its worker has lost a step beside it")

    retry_outages(give_back)
    for number, claim in held_here:
        retry_outages(partial(confirm, engine, operation_id, number, claim))


def _still_held(engine: Engine, operation_id: int, held_here: Collection[tuple[int, int]]) -> list[HeldClaim]:
    with engine.database.glance() as tx:
        held = held_claims(tx)
    return [one for one in held if one.operation_id == operation_id and (one.number, one.claim) in held_here]


def end_in_time(engine: Engine, held: HeldClaim, seconds: float, *, is_gone: bool) -> None:
    """End a step as failed whose process was killed at its hard time limit, unless it is retried.

    Args:
        engine: The engine.
        held: The claim.
        seconds: The limit.
        is_gone: Whether the process was seen to be gone.
    """
    _fail_aside(engine, held, TimeLimitPassed(seconds), Loss("its time limit", is_gone, is_counted=False))


def confirm(engine: Engine, operation_id: int, number: int, claim: int) -> None:
    """Note that the holder from whom this claim was taken runs nothing of it any more; a pause may have waited."""
    with engine.database.write() as tx:
        if not claims.confirm(tx, operation_id, number, claim):
            return
    drain_aside(engine, operation_id)


def _queue(engine: Engine, held: HeldClaim, loss: Loss) -> None:
    with suppress(OperationNotFound), changing(engine, held.operation_id) as op:
        due_at = op.now + engine.republish_after
        step = claims.take_away(op.tx, held, is_loss=loss.is_counted, due_at=due_at)
        if step is None:
            return
        _note_loss(op, held, loss)
        op.tell(who=loss.who, step=step.slug, old=StepState.RUNNING, new=StepState.QUEUED, why=loss.why)
        op.announcer.loss(op.operation, step, loss.why, is_final=False)
        if op.operation.completion in CLAIMABLE:
            op.publish([step])
        op.then(partial(drain_aside, engine, held.operation_id))


def _fail_aside(engine: Engine, held: HeldClaim, error: Exception, loss: Loss) -> None:
    """Settle the step as an errand: how it ends is asked of its author's code, and so is how its operation does."""
    what = f"the end of {held.slug} of operation {held.operation_id}"
    key = ("end", held.operation_id, held.number)
    run_aside(engine.incarnation.errands, key, what, partial(_fail, engine, held, error, loss))


def _fail(engine: Engine, held: HeldClaim, error: Exception, loss: Loss) -> None:
    """Take the claim over and settle the step; whoever dies in between has lost it like any other worker."""
    ending, now = _ending(engine, held, error), clock.now()
    if not engine.enter():
        return
    with suppress(OperationNotFound), changing(engine, held.operation_id) as op:
        step = claims.take_over(op.tx, held, engine.holder(), is_loss=loss.is_counted)
        if step is None:
            return
        _note_loss(op, held, loss)
        op.announcer.loss(op.operation, step, str(error), is_final=ending.state is StepState.FAILED)
        ended = Ended(step, ending, True, held.held_since or now, now)
        op.then(partial(settle_and_tell, engine, held.operation_id, [ended]))


def _ending(engine: Engine, held: HeldClaim, error: Exception) -> Ending:
    """How a step ends that could not raise this itself; one that outlived its limit is retried as if it had."""
    with engine.database.glance() as tx:
        found = find_step(tx, held.operation_id, held.number)
    retries = engine.policies.of_task(found[0].task).retries if found else None
    if found is None or retries is None or not isinstance(error, TimeLimitPassed):
        return failed(error)
    done = found[0].retries
    try:
        if not is_wanted(retries, error, done):
            return failed(error)
    except BaseException as fault:  # the author's function
        if not is_author_error(fault):
            raise
        return failed(fault)
    due_at = bounded(clock.now() + retries.wait(done))
    return replace(failed(error), state=StepState.RETRYING, due_at=due_at, again={"retries": done + 1})


def _note_loss(op: Change, held: HeldClaim, loss: Loss) -> None:
    """Raise the operation's version, and remember a holder that was not seen to run no more."""
    op.save(op.operation)
    if not loss.is_gone:
        claims.keep_lost(op.tx, held, op.now)


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
