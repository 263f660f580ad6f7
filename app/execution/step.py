"""Running one task call as a step: Celery's own tracer, so that its signals and hooks fire as in any worker."""

from __future__ import annotations

import weakref
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from celery import states
from celery.app.trace import build_tracer
from celery.states import IGNORED, REJECTED

from app import clock
from app.domain.call_options import faults_in
from app.domain.moments import bounded, seconds_of
from app.domain.signals import FAIL, Signal
from app.domain.states import Retrying, Skipped, StepState
from app.errors import NotAnEnding, OptionRefused, SecretInResult, TaskMissing, UnstorableArgument
from app.execution.cursors import StoppedAtCursor
from app.execution.endings import (
    Ending,
    ending_of,
    error_ending,
    failed,
    is_an_end,
    kept_text,
    name_of,
    stopped,
    storable,
    words_of,
)
from app.execution.exits import is_of_the_code, is_told_to_leave
from app.execution.guarding import Replaced, guard, said, unwrapped
from app.execution.signatures import in_zone, stored_options
from app.execution.step_task import as_step
from app.execution.values import encode
from app.processes import ending_children
from app.secrets import found_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery import Celery, Task

    AnyTask = Task[Any, Any]
    Tracer = Callable[[str, list[Any], dict[str, Any], dict[str, Any]], Any]


def run_task(app: Celery, name: str, args: list[Any], kwargs: dict[str, Any], request: dict[str, Any]) -> Ending:
    """Run a task's code here and now, with `request` as its `self.request`; a task that is missing here has failed."""
    task = app.tasks.get(name)
    if task is None:
        return error_ending(TaskMissing(name), "")
    tracer = _tracers.get(task)
    if tracer is None:
        tracer = _tracers[task] = _tracer(app, task)
    try:
        with ending_children():  # beside the task's code, its hooks and its base class may fork
            traced = tracer(request["id"], args, kwargs, request)
    except BaseException as leaving:  # the tracer lets all pass that is no Exception, and a hook's Reject
        if not is_of_the_code(leaving):
            raise
        return _left(task, leaving, request, (args, kwargs))
    if traced.info is None:
        return _success(task, traced.retval)
    return _unsuccessful(app, task, traced, request, (args, kwargs))


def _unsuccessful(
    app: Celery, task: AnyTask, traced: Any, request: dict[str, Any], called_with: tuple[list[Any], dict[str, Any]]
) -> Ending:
    """How a step ends that Celery's tracer has seen fail, retried or ignored."""
    if is_told_to_leave():  # what its code raised on its way out is no end of the step
        raise SystemExit(f"a process was told to leave while it ran {task.name}")
    if traced.info.state == states.RETRY:
        return _retrying(app, task, traced.info.retval, called_with)
    if isinstance(traced.info.retval, Replaced):
        return Ending(StepState.SUCCESS, encode(None), canvas=traced.info.retval.canvas)
    if traced.info.state in (IGNORED, REJECTED):
        return _dropped(task, traced, request)
    return replace(_failed(task, traced.info, traced.retval), called_with=called_with)


def _dropped(task: AnyTask, traced: Any, request: dict[str, Any]) -> Ending:
    """How a step ends whose code told Celery to forget it (`Ignore`), or to give its message back (`Reject`)."""
    fault = traced.info.retval
    if traced.info.state == REJECTED and not fault.requeue:
        return error_ending(fault, str(getattr(traced.retval, "traceback", "")), words_of(fault.reason))
    words = f"Reject: {words_of(fault.reason)}" if traced.info.state == REJECTED else f"Ignore: {words_of(fault)}"
    state = Retrying(words) if traced.info.state == REJECTED else Skipped(words)
    return ending_of(state, task.name, request["retries"])


_tracers: weakref.WeakKeyDictionary[AnyTask, Tracer] = weakref.WeakKeyDictionary()


def _tracer(app: Celery, task: AnyTask) -> Tracer:
    guard(task)
    as_step(task)
    tracer: Tracer = build_tracer(task.name, task, app.loader, app=app)
    return tracer


def _success(task: AnyTask, value: Any) -> Ending:
    words = said()
    try:
        result = storable(task.name, value)
    except Exception as why:
        return error_ending(why, "")
    message = kept_text(words.message) if words and words.message is not None else None
    return Ending(StepState.SUCCESS, result=result, message=message)


def _left(
    task: AnyTask, leaving: BaseException, request: dict[str, Any], called_with: tuple[list[Any], dict[str, Any]]
) -> Ending:
    """How a step ends whose code was left by what passes Celery's tracer."""
    if isinstance(leaving, StoppedAtCursor):
        return stopped()
    if not isinstance(leaving, Signal) or isinstance(leaving, FAIL):
        return replace(failed(leaving), called_with=called_with)
    state = leaving.state
    if not is_an_end(state):
        return error_ending(NotAnEnding(task.name, state.name), "")
    try:
        return ending_of(state, task.name, request["retries"])
    except Exception as why:
        return error_ending(why, "")


def _retrying(app: Celery, task: AnyTask, retry: Any, called_with: tuple[list[Any], dict[str, Any]]) -> Ending:
    sig = retry.sig
    if sig is None:  # raised by hand: nothing says what to run again
        return error_ending(NotAnEnding(task.name, states.RETRY), "")
    args, kwargs = list(sig.args or ()), dict(sig.kwargs or {})
    again: dict[str, Any] = {"retries": sig.options["retries"]}
    if (args, kwargs) != called_with:
        again |= {"args": args, "kwargs": kwargs}
    try:
        again |= _options_again(app, task, getattr(retry, "options", {}))
    except OptionRefused as why:
        return error_ending(why, "")
    if (refused := _refused_retry(task, again, sig.options)) is not None:
        return error_ending(refused, "")
    cause = unwrapped(retry.exc) if retry.exc else None
    error = encode({"type": name_of(cause), "message": words_of(cause)}) if cause else None
    words = words_of(cause) if cause else None
    return Ending(StepState.RETRYING, error=error, due_at=_seconds(app, retry.when), again=again, message=words)


def _options_again(app: Celery, task: AnyTask, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a retry asks for, beside its time. Raises OptionRefused."""
    if not asked:
        return {}
    options = stored_options(asked, (), step=task.name, timezone=app.timezone)
    if options.get("expires") is not None:
        raise OptionRefused(task.name, "expires")
    return {"options": options}


def _refused_retry(task: AnyTask, again: Mapping[str, Any], options: Mapping[str, Any]) -> Exception | None:
    """Return why a step cannot be run again as its code asks."""
    times = {name: options.get(name) for name in ("countdown", "eta")}
    if fault := next(faults_in(times), None):
        return OptionRefused(task.name, *fault)
    try:
        secret = found_in(encode(again, around=2))  # by the names of the parts, and in the list of arguments
    except Exception as why:
        return UnstorableArgument(task.name, "what it is to be retried with", f"is refused ({words_of(why)})")
    return SecretInResult(task.name, "retry", secret) if secret else None


def _seconds(app: Celery, when: float | datetime | str | None) -> float:
    if isinstance(when, datetime | str):
        return seconds_of(in_zone(when, app.timezone))
    return bounded(clock.now() + (when or 0))


def _failed(task: AnyTask, info: Any, einfo: Any) -> Ending:
    if info.state == states.FAILURE:
        fault = unwrapped(info.retval)
        return failed(fault) if fault is not info.retval else error_ending(fault, str(getattr(einfo, "traceback", "")))
    return error_ending(NotAnEnding(task.name, info.state), "")
