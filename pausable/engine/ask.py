"""Ask the trigger and the state handlers of a step, and tell handlers of what they cannot change."""

from __future__ import annotations

import inspect
import json
import logging
from typing import TYPE_CHECKING, Any, Final

from pausable.canvas.signatures import call_of
from pausable.canvas.task import is_author_error
from pausable.db.history import has_paused, number_of_slug
from pausable.db.operations import find_operation
from pausable.db.steps import find_step
from pausable.db.transitions import upstream_of
from pausable.engine.announce import subject_of
from pausable.engine.checkpoints import load, look
from pausable.engine.claim import call_with, whole_call
from pausable.engine.handlers import Fitting, Subject, kept_state, name_of
from pausable.engine.outcome import (
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
from pausable.errors import ClaimLost, ResultFault
from pausable.model.signals import Signal
from pausable.model.states import BAD, Skipped, State, StepState, TriggerFailed
from pausable.model.triggers import (
    SKIPPED_WITH,
    all_failed,
    all_successful,
    asking,
    manual_only,
    name_of_trigger,
    not_run_after,
)
from pausable.processes import ending_children

if TYPE_CHECKING:
    from collections.abc import Callable

    from pausable.db.operations import Operation
    from pausable.db.outbox import Outgoing
    from pausable.db.transitions import StepTask
    from pausable.engine.engine import Engine
    from pausable.engine.policies import StepPolicy

if TYPE_CHECKING:
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
        if not is_author_error(fault):
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
        if not is_author_error(fault):
            raise
        return TriggerFailed(
            f"Its trigger {name_of_trigger(policy.trigger)} raised {type(fault).__name__}: {words_of(fault)}"
        )
    is_wanted = State.is_failed if policy.trigger is all_failed else State.is_successful
    bad = {slug: state.name for slug, state in states.items() if not is_wanted(state)}
    return TriggerFailed(not_run_after(bad, name_of_trigger(policy.trigger)))


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


_log: Final = logging.getLogger(__name__)


def tell(engine: Engine, row: Outgoing) -> None:
    """Tell the handlers that a row of the outbox is for; what they answer is not asked, what they raise is logged."""
    kind, _, name = row.source.partition(":")
    with engine.database.glance() as tx:
        operation = find_operation(tx, row.operation_id)
    subject = None if operation is None else _subject(engine, operation, row)
    if operation is None or subject is None:
        return
    policy = engine.policies.of_task(name) if kind == "step" else engine.policies.of_operation(operation)
    facts: dict[str, Any] = json.loads(row.facts)
    old, new = (State.deserialize(facts[which]) for which in ("old", "new"))
    for handler in policy.handlers:
        try:
            with ending_children():
                handler(subject, old, new)
        except BaseException as fault:  # the author's code may raise anything, and it can change nothing any more
            if not is_author_error(fault):
                raise
            _log.exception("the state handler %s raised on being told of %s", name_of(handler), new)


def _subject(engine: Engine, operation: Operation, row: Outgoing) -> Subject | None:
    if not row.step:
        return subject_of(operation)
    with engine.database.glance() as tx:
        number = number_of_slug(tx, row.operation_id, row.step)
        found = None if number is None else find_step(tx, row.operation_id, number)
    if found is None:
        return None
    return subject_of_step(engine, row.operation_id, found[0], _call(engine, row.operation_id, found[0]))


def _call(engine: Engine, operation_id: int, step: StepTask) -> tuple[list[Any], dict[str, Any]]:
    """What the step was called with; as far as it is known, where a result before it cannot be loaded any more."""
    try:
        return call_with(engine, operation_id, step, {})
    except ResultFault:
        return call_of(whole_call(step))
