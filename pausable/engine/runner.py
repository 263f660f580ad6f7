"""Run a slice: claim a step, call it, settle how it ended, and go on with what became ready."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from pausable import clock
from pausable.canvas.task import is_author_error
from pausable.db.database import is_outage, retry_outages
from pausable.db.steps import find_step, queued_after
from pausable.engine.ask import attend
from pausable.engine.batch import Batch, LateWriter
from pausable.engine.checkpoints import kept_small
from pausable.engine.claim import call_with, claim_and_confirm, fail_unclaimed, may_begin_operation
from pausable.engine.cursor import Keeper, keeper
from pausable.engine.dispatch import publish_again
from pausable.engine.drain import drain
from pausable.engine.limits import process_settings, soft_limit
from pausable.engine.metrics import STEP_SECONDS
from pausable.engine.outcome import failed, stopped
from pausable.engine.publish import is_timed, not_before
from pausable.engine.release import ended_in_fact, fail, give_up, let_go
from pausable.engine.replace import compiled
from pausable.engine.settle import AT_ONCE, Choice, Settled, is_waiting_for_drain
from pausable.engine.step_log import step_log
from pausable.engine.task import call_errbacks, request_of, run_task
from pausable.errors import ClaimLost, OptionRefused
from pausable.logs import in_step
from pausable.model.options import faults_in
from pausable.model.states import DONE, Completion, StepState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pausable.db.transitions import StepTask
    from pausable.engine.engine import Engine
    from pausable.engine.outcome import Ended, Ending

_late_writer = LateWriter()
_log = logging.getLogger(__name__)


def run_slice(engine: Engine, operation_id: int, number: int) -> int:
    """Run the slice that begins with this step, unless that is no longer to be run; returns how many steps it ran."""
    with soft_limit.in_slice():
        return _run_slice(engine, operation_id, number)


def fail_unmade(engine: Engine, operation_id: int, number: int, why: str) -> None:
    """End a queued step as Failed whose message could not be made because of its options.

    Args:
        engine: The engine.
        operation_id: The operation.
        number: The step.
        why: The name of the error.
    """
    with engine.database.glance() as tx:
        found = find_step(tx, operation_id, number)
    if found is None:
        return
    step = found[0]
    fault = next(faults_in(engine.publisher.own_options(step)), ("message", f"cannot be made of them ({why})"))
    with contextlib.suppress(ClaimLost):  # it is in other hands by now
        fail_unclaimed(engine, operation_id, number, OptionRefused(step.slug, *fault))


def _run_slice(engine: Engine, operation_id: int, number: int) -> int:
    process_settings.take()
    if engine.shutdown.is_set:
        publish_again(engine, operation_id, number)
        return 0
    step = _claimed(engine, operation_id, number)
    if step is None:
        _leave_to_others(engine, operation_id, number)
        return 0
    is_alone = bool(engine.publisher.own_options(step)) or is_timed(step.call)
    whole = Slice(engine, operation_id, is_alone=is_alone)
    try:
        if _may_begin(engine, operation_id, step):
            whole.run(step)
    except ClaimLost:  # another worker has taken over: what this one did is recorded by nobody
        let_go(engine, operation_id, {(step.number, step.claim), *whole.end()})
    except Exception as fault:
        _log.exception("a slice of operation %s could not go on", operation_id)
        give_up(engine, operation_id, {(step.number, step.claim), *whole.end()}, fault)
    finally:
        whole.end()
    return whole.steps


def _leave_to_others(engine: Engine, operation_id: int, number: int) -> None:
    """See to what may have waited for a step that is not run here, and give it back where the worker is leaving."""
    drain(engine, operation_id)
    if engine.shutdown.is_set:
        publish_again(engine, operation_id, number)


def _claimed(engine: Engine, operation_id: int, number: int) -> StepTask | None:
    """Claim the step; one that cannot be claimed because of what it is made of has failed."""
    try:
        return claim_and_confirm(engine, operation_id, number)
    except Exception as fault:
        if is_outage(fault):
            raise
        _log.exception("a step of operation %s could not be claimed", operation_id)
        with contextlib.suppress(ClaimLost):  # it is in other hands by now
            fail_unclaimed(engine, operation_id, number, fault)
        return None


def _may_begin(engine: Engine, operation_id: int, step: StepTask) -> bool:
    """Whether the operation may begin with this step; what keeps anybody from telling is the step's failure."""
    try:
        return may_begin_operation(engine, operation_id, step)
    except ClaimLost:
        raise
    except Exception as fault:
        if is_outage(fault):
            raise
        fail(engine, operation_id, step, fault)
        return False


class Slice:
    """The steps of one operation that one delivery runs."""

    def __init__(self, engine: Engine, operation_id: int, *, is_alone: bool) -> None:
        self._engine = engine
        self._operation_id = operation_id
        self._batch = Batch(engine, operation_id)
        self._is_alone = is_alone
        self._is_beside = False
        self._keeper: Keeper | None = None
        #: How many steps it has run.
        self.steps = 0
        self._until = clock.monotonic() + engine.slice_seconds

    def end(self) -> Sequence[tuple[int, int]]:
        """Let nothing of it be written any more; returns every step that it has claimed, with its claim's number.

        It waits for the timer, which may be writing: what that claims belongs to the slice as well.
        """
        _late_writer.disarm(self._batch)
        return self._batch.end()

    def run(self, step: StepTask) -> None:
        """Run `step`, which is claimed, and all that this delivery goes on with."""
        going: StepTask | None = step
        is_claimed = True
        while going is not None:
            self._batch.take_up(going, is_claimed=is_claimed)
            with (
                step_log(self._engine.database, self._operation_id, going, is_claimed=is_claimed),
                in_step(self._operation_id, going.slug),
            ):
                ending = self._ending_of(going)
            ended = self._batch.finish(ending)
            going, is_claimed = self._next_unwritten(ended)
            going = going or self._settle(ended)

    def _ending_of(self, step: StepTask) -> Ending:
        """Run the step; what its values make fail outside its code is its failure too."""
        try:
            ending = self._with_place(self._execute(step))
            if ending.graph is not None:
                return replace(ending, result=None)  # by which its value is known to be what was put in its place
            return kept_small(self._engine, self._operation_id, step.slug, ending)
        except ClaimLost:
            raise
        except BaseException as fault:  # a value may bring code of its own, which may raise a signal or exit
            if not is_author_error(fault) or is_outage(fault):
                raise
            return failed(fault)

    def _execute(self, step: StepTask) -> Ending:
        known = self._batch.known_results()
        if known or self._batch.has_siblings:
            _late_writer.arm(self._batch)
        self.steps += 1
        self._keeper = None
        args, kwargs = retry_outages(partial(call_with, self._engine, self._operation_id, step, known))
        if self._is_plain(step):
            return self._run(step, args, kwargs)
        run = partial(self._run, step, args, kwargs)
        return attend(self._engine, self._operation_id, step, (args, kwargs), run)

    def _is_plain(self, step: StepTask) -> bool:
        """Whether nobody is asked or told of the step: only then may it run before its claim is written."""
        return step.plain and self._engine.policies.of_task(step.task).is_plain

    def _run(self, step: StepTask, args: list[Any], kwargs: dict[str, Any]) -> Ending:
        started = clock.monotonic()
        self._keeper = Keeper(self._engine, self._operation_id, self._batch, step)
        mine = keeper.set(self._keeper)
        try:
            request = request_of(self._engine, self._operation_id, step)
            ending = run_task(self._engine.app, step.task, args, kwargs, request)
        finally:
            keeper.reset(mine)
            process_settings.restore()
        if self._keeper.is_stopped and ending.state is not StepState.QUEUED:
            _log.warning("the code of step %s went on after its stop: what it came to is left out", step.slug)
            ending = stopped()
        if ending.canvas is not None:
            ending = retry_outages(partial(compiled, self._engine, self._operation_id, step, ending))
        took = clock.monotonic() - started
        if ending.state is StepState.QUEUED:  # a part of a run is no measure of it
            return ending
        self._engine.pace.measure(step.task, took)
        self._engine.metrics.observe(STEP_SECONDS, took, step.task)
        return ending

    def _with_place(self, ending: Ending) -> Ending:
        """Return the ending with the last place that the code kept: its next run goes on from there."""
        kept = self._keeper.unwritten() if self._keeper else None
        return replace(ending, kept=kept) if kept and ending.state not in DONE else ending

    def _next_unwritten(self, ended: Ended) -> tuple[StepTask | None, bool]:
        """The next step, if what has ended is short enough to wait for it; and whether its claim is in the table."""
        step, is_success = ended.step, ended.ending.state is StepState.SUCCESS and ended.ending.graph is None
        if not (is_success and step.losses == 0 and self._is_plain(step) and self._engine.pace.is_short(step.task)):
            return None, True
        try:
            if self._is_beside:  # what waits for many that ran beside each other is rarely ready before all are written
                return (None if self._engine.shutdown.is_set else self._batch.next_sibling()), True
            going = None if self._is_alone else self._batch.next_nearby(self._may_run_on)
        except Exception as fault:
            if not is_outage(fault):
                raise
            return None, True  # what has ended is written once the database is back: it is not run again
        return going, going is None

    def _settle(self, ended: Ended) -> StepTask | None:
        settled = self._write()
        was_beside, self._is_beside = self._is_beside, settled.is_beside
        _late_writer.disarm(self._batch)
        self._engine.publisher.publish(self._operation_id, settled.publish)
        if ended.ending.state is StepState.RETRYING:
            self._engine.wake_sweeper()
        for one in ended_in_fact([ended], settled.failed):
            call_errbacks(self._engine, self._operation_id, one)
        if is_waiting_for_drain(settled):
            drain(self._engine, self._operation_id)
        if was_beside and not (settled.next or settled.publish or self._has_budget()):
            self._hand_on(ended.step.number)
        return settled.next or self._asked(settled)

    def _hand_on(self, number: int) -> None:
        """Let another delivery go on beside what ran here: the messages of those steps may all have come by now."""
        with self._engine.database.glance() as tx:
            queued = queued_after(tx, self._operation_id, number, AT_ONCE)
        now = clock.now()
        ready = (step for step in queued if not_before(step.call, now) is None)  # the others have their own time
        self._engine.publisher.publish(self._operation_id, islice(ready, 1))

    def _write(self) -> Settled:
        return self._batch.write(Choice(self._may_go_on, self._may_take))

    def _asked(self, settled: Settled) -> StepTask | None:
        """The step behind a clause of the author's own, once that was asked and said go on."""
        if settled.ask is None:
            return None
        if not self._may_go_on(settled.completion, settled.ask):
            self._engine.publisher.publish(self._operation_id, [settled.ask])
            return None
        step = claim_and_confirm(self._engine, self._operation_id, settled.ask.number)
        if step is None:
            drain(self._engine, self._operation_id)
        return step

    def _may_go_on(self, completion: Completion, step: StepTask) -> bool:
        """Whether this delivery goes on with a step; a pause must not fall where there is no pause point."""
        if self._is_alone or self._engine.publisher.own_options(step) or not_before(step.call, clock.now()):
            return False
        return self._has_budget() or (completion is Completion.REQUESTING_PAUSE and step.point is None)

    def _may_run_on(self, completion: Completion, step: StepTask) -> bool:
        return self._may_take(completion, step, 0)

    def _may_take(self, completion: Completion, step: StepTask, many: int) -> bool:
        """Whether this delivery runs a step without a claim of its own, behind so many others of its kind."""
        is_fit = step.losses == 0 and self._is_plain(step) and not step.spoiled
        is_short = is_fit and self._engine.pace.is_short(step.task, many + 1)
        return is_short and self._has_budget(many) and self._may_go_on(completion, step)

    def _has_budget(self, more: int = 0) -> bool:
        is_spent = self.steps + more >= self._engine.slice_steps or clock.monotonic() >= self._until
        return not is_spent and not self._engine.shutdown.is_set
