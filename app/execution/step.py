"""Running one task call as a step: Celery's own tracer, so that its signals and hooks fire as in any worker."""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass, replace
from datetime import datetime
from traceback import format_exception
from types import MethodType
from typing import TYPE_CHECKING, Any

from celery import Task, states
from celery.app.trace import build_tracer
from celery.utils.time import maybe_make_aware
from kombu.utils import json

from app import clock
from app.domain.states import StepState
from app.errors import ReplaceRefused, ResultRefused, SecretInResult, TaskMissing, UnstorableArgument
from app.secrets import found_in, redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery import Celery

    AnyTask = Task[Any, Any]
    Tracer = Callable[[str, list[Any], dict[str, Any], dict[str, Any]], Any]


class Step(Task[Any, Any]):
    """The base class of tasks that run as steps: what would send messages from inside a step is done by the engine.

    Sent as a message of its own, as an error callback is, it behaves as any task of Celery's.
    """

    abstract = True

    def retry(self, *args: Any, **options: Any) -> Any:
        """Ask to be run again later, as `celery.Task.retry`; the engine keeps the time, the broker sees nothing."""
        if not _is_step(self):
            return Task.retry(self, *args, **options)
        # Celery publishes the retry itself unless the request says that it runs eagerly.
        self.request.is_eager = True
        try:
            return Task.retry(self, *args, **options)
        finally:
            self.request.is_eager = False

    def replace(self, sig: Any) -> Any:
        """Refuse: a step cannot put a canvas in its own place."""
        if not _is_step(self):
            return Task.replace(self, sig)
        raise ReplaceRefused(self.name)


def _is_step(task: AnyTask) -> bool:
    return getattr(task.request, "operation_id", None) is not None


@dataclass(frozen=True, slots=True)
class Ending:
    """How one run of a step ended: its state, and with it a result, an error, or the call to make again and when."""

    state: StepState
    result: str | None = None
    error: str | None = None
    due_at: float | None = None
    #: `retries`, and `args` and `kwargs` where the next run is to have others than this one.
    again: Mapping[str, Any] | None = None
    exception: BaseException | None = None
    #: The arguments, where it failed: an error callback may ask for them.
    called_with: tuple[list[Any], dict[str, Any]] = ([], {})


def run_task(app: Celery, name: str, args: list[Any], kwargs: dict[str, Any], request: dict[str, Any]) -> Ending:
    """Run a task's code here and now, with `request` as its `self.request`; a task that is missing here has failed."""
    task = app.tasks.get(name)
    if task is None:
        return _error(TaskMissing(name), "")
    tracer = _tracers.get(task)
    if tracer is None:
        tracer = _tracers[task] = _tracer(app, task)
    try:
        traced = tracer(request["id"], args, kwargs, request)
    except BaseException as leaving:  # the tracer lets some pass: SystemExit, asyncio's CancelledError, a hook's Reject
        if not is_of_the_code(leaving):
            raise
        return replace(failed(leaving), called_with=(args, kwargs))
    if traced.info is None:
        return _success(task, traced.retval)
    if traced.info.state == states.RETRY:
        return _retrying(app, task, traced.info.retval, (args, kwargs))
    return replace(_failed(task, traced.info, traced.retval), called_with=(args, kwargs))


def is_of_the_code(leaving: BaseException) -> bool:
    """Whether an author's own code raised this; a process of the pool that is told to leave has a negative code."""
    if isinstance(leaving, SystemExit):
        return type(leaving) is SystemExit and not (isinstance(leaving.code, int) and leaving.code < 0)
    return not isinstance(leaving, KeyboardInterrupt)


_tracers: weakref.WeakKeyDictionary[AnyTask, Tracer] = weakref.WeakKeyDictionary()


def _tracer(app: Celery, task: AnyTask) -> Tracer:
    if not isinstance(task, Step):  # a task of the author's own base class
        task.retry = MethodType(Step.retry, task)  # type: ignore[method-assign]
        task.replace = MethodType(Step.replace, task)  # type: ignore[method-assign]
    tracer: Tracer = build_tracer(task.name, task, app.loader, app=app)
    return tracer


def _success(task: AnyTask, value: Any) -> Ending:
    try:
        result = encode(value)
    except Exception as why:  # a value may bring code of its own that makes JSON of it
        return _error(ResultRefused(task.name, _words_of(why)), "")
    if secret := found_in(result):
        return _error(SecretInResult(task.name, "result", secret), "")
    return Ending(StepState.SUCCESS, result=result)


def _retrying(app: Celery, task: AnyTask, retry: Any, called_with: tuple[list[Any], dict[str, Any]]) -> Ending:
    sig = retry.sig
    if sig is None:  # raised by hand: nothing says what to run again
        return _error(_NoResult(task.name, states.RETRY), "")
    args, kwargs = list(sig.args or ()), dict(sig.kwargs or {})
    again: dict[str, Any] = {"retries": sig.options["retries"]}
    if (args, kwargs) != called_with:
        again |= {"args": args, "kwargs": kwargs}
    try:
        secret = found_in(encode(again))
    except Exception as why:
        return _error(
            UnstorableArgument(task.name, "what it is to be retried with", f"is refused ({_words_of(why)})"), ""
        )
    if secret:
        return _error(SecretInResult(task.name, "retry", secret), "")
    error = encode({"type": type(retry.exc).__name__, "message": _words_of(retry.exc)}) if retry.exc else None
    return Ending(StepState.RETRYING, error=error, due_at=_seconds(app, retry.when), again=again)


def _seconds(app: Celery, when: float | datetime | None) -> float:
    if isinstance(when, datetime):
        return maybe_make_aware(when, tz=app.timezone).timestamp()
    return clock.now() + (when or 0)


def _failed(task: AnyTask, info: Any, einfo: Any) -> Ending:
    if info.state == states.FAILURE:
        return _error(info.retval, str(getattr(einfo, "traceback", "")))
    return _error(_NoResult(task.name, info.state), "")


class _NoResult(Exception):
    def __init__(self, task: str, state: str) -> None:
        super().__init__(f"{task} ended {state} without a result: an operation cannot go on from there.")


def _error(error: BaseException, traceback: str) -> Ending:
    facts = {"type": type(error).__name__, "message": _words_of(error), "traceback": redacted(traceback)}
    return Ending(StepState.FAILED, error=encode(facts), exception=error)


def _words_of(error: object) -> str:
    try:
        return redacted(str(error))
    except Exception:
        return "its message cannot be read"


def failed(error: BaseException) -> Ending:
    """How a step ends that cannot be run, because of an error raised before its code."""
    return _error(error, "".join(format_exception(error)))


def encode(value: Any) -> str:
    """`value` as JSON, with the types that Celery's messages know; raises TypeError or ValueError for any other."""
    text: str = json.dumps(value, separators=(",", ":"))
    if "NaN" in text or "Infinity" in text:
        _refuse_not_a_number(value)
    return text


def decode(text: str | None) -> Any:
    """The value that `encode` wrote."""
    return None if text is None else json.loads(text)


def _refuse_not_a_number(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a number")
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for part in parts:
        _refuse_not_a_number(part)
