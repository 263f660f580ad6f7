"""Taking a claim away: its number is raised, so that its holder writes nothing more, and the step is queued again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from app import clock
from app.domain.moments import bounded
from app.domain.states import CLAIMABLE, StepState
from app.errors import TimeLimitPassed, WorkerLost
from app.execution.announcing import Announcer
from app.execution.draining import drain_aside
from app.execution.endings import failed
from app.execution.errands import run_aside
from app.execution.exits import is_of_the_code
from app.execution.failing import settle_and_tell
from app.execution.guarding import is_wanted
from app.execution.settling import Ended
from app.execution.surely import surely
from app.store import claims
from app.store.claims import held_claims
from app.store.events import append_event
from app.store.operations import lock_operation, save
from app.store.step_queries import find_step

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from app.execution.endings import Ending
    from app.execution.engine import Engine
    from app.store.claims import HeldClaim


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

    surely(give_back)


def let_go(engine: Engine, operation_id: int, held_here: Collection[tuple[int, int]]) -> None:
    """Stop for good, one of these claims having been taken away: the others are given back, which counts as no loss.

    Only then is it told that nothing of them runs here: what takes claims away does so one by one, and may be on its
    way to the next.
    """

    def give_back() -> None:
        for one in _still_held(engine, operation_id, held_here):
            hand_back(engine, one, is_gone=True, why="its worker has lost a step beside it")

    surely(give_back)
    for number, claim in held_here:
        surely(partial(confirm, engine, operation_id, number, claim))


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
    now = clock.now()
    with engine.database.write() as tx:
        operation = lock_operation(tx, held.operation_id)
        due_at = now + engine.republish_after
        step = claims.take_away(tx, held, is_loss=loss.is_counted, due_at=due_at)
        if operation is None or step is None:
            return
        save(tx, operation, operation)
        _tell(tx, held, loss, now)
        append_event(
            tx, operation.id, at=now, who=loss.who, step=step.slug, old=StepState.RUNNING, new=StepState.QUEUED,
            why=loss.why,
        )  # fmt: skip
        Announcer(tx, engine, now).loss(operation, step, loss.why, is_final=False)
    if operation.completion in CLAIMABLE:
        engine.publisher.publish(operation.id, [step])
    drain_aside(engine, operation.id)


def _fail_aside(engine: Engine, held: HeldClaim, error: Exception, loss: Loss) -> None:
    """Settle the step as an errand: how it ends is asked of its author's code, and so is how its operation does."""
    what = f"the end of {held.slug} of operation {held.operation_id}"
    key = ("end", held.operation_id, held.number)
    run_aside(engine, key, what, partial(_fail, engine, held, error, loss))


def _fail(engine: Engine, held: HeldClaim, error: Exception, loss: Loss) -> None:
    """Take the claim over and settle the step; whoever dies in between has lost it like any other worker."""
    ending, now = _ending(engine, held, error), clock.now()
    if not engine.enter():
        return
    with engine.database.write() as tx:
        operation = lock_operation(tx, held.operation_id)
        step = claims.take_over(tx, held, engine.holder(), is_loss=loss.is_counted)
        if operation is None or step is None:
            return
        save(tx, operation, operation)
        _tell(tx, held, loss, now)
        Announcer(tx, engine, now).loss(operation, step, str(error), is_final=ending.state is StepState.FAILED)
    settle_and_tell(engine, operation.id, [Ended(step, ending, True, held.held_since or now, now)])


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
        if not is_of_the_code(fault):
            raise
        return failed(fault)
    due_at = bounded(clock.now() + retries.wait(done))
    return replace(failed(error), state=StepState.RETRYING, due_at=due_at, again={"retries": done + 1})


def _tell(tx: Connection, held: HeldClaim, loss: Loss, now: float) -> None:
    if not loss.is_gone:
        claims.keep_lost(tx, held, now)
