"""Running a step that is more than its code: its trigger is asked first, and its state handlers of every change."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from app.domain.signals import Signal
from app.domain.states import BAD, Skipped, State, StepState, TriggerFailed
from app.domain.triggers import SKIPPED_WITH, all_failed, all_successful, asking, manual_only, name_of, not_run_after
from app.errors import ClaimLost
from app.execution.checkpoints import look
from app.execution.endings import (
    Ending,
    before,
    ending_of,
    failed,
    is_an_end,
    may_begin,
    starting,
    state_of,
    told,
    words_of,
)
from app.execution.exits import is_of_the_code
from app.execution.loading import load
from app.handlers.base import Fitting, Subject, kept_state
from app.processes import ending_children
from app.store.endings import upstream_of
from app.store.events import has_paused

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.execution.engine import Engine
    from app.execution.policies import StepPolicy
    from app.store.steps import StepTask

    Arguments = tuple[list[Any], dict[str, Any]]

_END: Final[Fitting] = (is_an_end, "Retrying, Paused or a finished state")
_BEGIN: Final[Fitting] = (may_begin, "Running, Retrying, Paused or a finished state")


def attend(engine: Engine, operation_id: int, step: StepTask, call: Arguments, run: Callable[[], Ending]) -> Ending:
    """Run a claimed step as its trigger and its state handlers let it; returns how it ends."""
    policy = engine.policies.of_task(step.task)
    try:
        subject = subject_of_step(engine, operation_id, step, call)
        verdict = _verdict(engine, operation_id, step, policy)
        if verdict is not None:
            kept = kept_state(policy.handlers, subject, before(step), verdict, _END)
            return ending_of(kept, step.task, step.retries)
        point, found = look(engine, operation_id, step, call)
        if found:
            ending = _kept(policy, subject, before(step), found, step)
            return point.by_reference(ending) if point and ending.result == found.result else ending
        running = kept_state(policy.handlers, subject, before(step), starting(), _BEGIN)
        if not running.is_running():
            return ending_of(running, step.task, step.retries)
        ending = _kept(policy, subject, running, run(), step)
        end = point.keep(engine, operation_id, step, ending) if point else ending
        return end if end.state is ending.state else _kept(policy, subject, running, end, step)
    except ClaimLost:
        raise
    except BaseException as fault:  # a handler may raise anything: then the step has failed with that
        if not is_of_the_code(fault):
            raise
        return failed(fault)


def _kept(policy: StepPolicy, subject: Subject, running: State, ending: Ending, step: StepTask) -> Ending:
    if not policy.handlers or ending.state is StepState.QUEUED:  # one that stopped at its cursor has not changed yet
        return ending
    proposed = state_of(ending, step)
    kept = kept_state(policy.handlers, subject, running, proposed, _END)
    # A handler may change the state that it is shown.
    is_as_it_was = kept is proposed and kept.says_the_same(state_of(ending, step))
    return ending if is_as_it_was else ending_of(kept, step.task, step.retries)


def _verdict(engine: Engine, operation_id: int, step: StepTask, policy: StepPolicy) -> State | None:
    """The state that a step ends in without being run, because of those upstream of it; None when it is to run."""
    if policy.trigger is all_successful and not step.spoiled:
        return None
    with engine.database.glance() as tx:
        upstream = upstream_of(tx, operation_id, step.number)
    states = {one.slug: told(one.state, one.message, one.error, load(one.result)) for one in upstream}
    if skipped := _skipped(policy, states):
        return skipped
    if not states and policy.trigger is not manual_only:  # there is nothing that a trigger could judge by
        return None
    with asking(is_resumed=_is_resumed(engine, operation_id, step)):
        return _judged(policy, states)


def _is_resumed(engine: Engine, operation_id: int, step: StepTask) -> bool:
    """Return whether the step has paused its operation since a person last retried that, and was resumed."""
    if not step.passed or step.runs == 1:
        return False
    with engine.database.glance() as tx:
        return has_paused(tx, operation_id, step.slug)


def _skipped(policy: StepPolicy, states: dict[str, State]) -> State | None:
    """Skipped where that spreads to the step. Of a failure and a skip, the default trigger goes by the failure.

    For a plain step ends, as soon as one before it fails, before anybody knows whether another one will be skipped.
    """
    is_one = policy.skip_on_upstream_skip and any(state.is_skipped() for state in states.values())
    is_one_bad = any(StepState(state.name) in BAD for state in states.values())
    return Skipped(SKIPPED_WITH) if is_one and not (is_one_bad and policy.trigger is all_successful) else None


def _judged(policy: StepPolicy, states: dict[str, State]) -> State | None:
    try:
        with ending_children():
            may_run = policy.trigger(states)
        if may_run:
            return None
    except Signal as signal:
        return signal.state
    except BaseException as fault:  # the author's function
        if not is_of_the_code(fault):
            raise
        return TriggerFailed(f"Its trigger {name_of(policy.trigger)} raised {type(fault).__name__}: {words_of(fault)}")
    is_wanted = State.is_failed if policy.trigger is all_failed else State.is_successful
    bad = {slug: state.name for slug, state in states.items() if not is_wanted(state)}
    return TriggerFailed(not_run_after(bad, name_of(policy.trigger)))


def subject_of_step(engine: Engine, operation_id: int, step: StepTask, call: Arguments) -> Subject:
    """What handlers are shown of a step that is called so."""
    return Subject(step.task.rpartition(".")[2], operation_id, _named(engine, step.task, call), step.runs, step.slug)


def _named(engine: Engine, task: str, call: Arguments) -> dict[str, Any]:
    """The arguments by the names of the parameters that take them; in their order where they fit none."""
    args, kwargs = call
    try:
        signature = inspect.signature(engine.app.tasks[task].run)
        named = dict(signature.bind_partial(*args, **kwargs).arguments)
    except (KeyError, TypeError, ValueError):
        return {str(place): value for place, value in enumerate(args)} | kwargs
    rest = [one.name for one in signature.parameters.values() if one.kind is one.VAR_KEYWORD]
    return {name: value for name, value in named.items() if name not in rest} | kwargs
