"""What a step's code raises, put into words that Celery's tracer knows: signals, and failures worth another run.

It is done inside Celery's tracing, so that its signals and hooks tell of a retry as of one that the code asked for, and
of a signalled failure as of any other. The other signals, and the stop at a cursor, pass the tracer as they are: they
are no `Exception`, so nothing that catches exceptions holds them up.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from celery.app.trace import task_has_custom
from celery.exceptions import Ignore, Reject, Retry

from app.domain.signals import FAIL, RETRY, SUCCESS, Signal
from app.errors import RequestChanged
from app.execution.policies import StepPolicy
from app.execution.soft_limits import soft_limit
from app.processes import ending_children

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.domain.retries import Retries
    from app.domain.states import State

#: The state of the last success that was signalled here, until it is asked for: a plain return has no message.
_said: ContextVar[State | None] = ContextVar("said", default=None)
_PLAIN: Final = StepPolicy()
#: What Celery goes by once a task has succeeded; the requests of steps have none of it.
_LEADS_ON: Final = frozenset({"callbacks", "chain", "chord"})


class SignalledFailure(Exception):
    """Carries the signal FAIL through Celery's tracer and its retries, which take only exceptions for failures."""

    def __init__(self, signal: FAIL) -> None:
        self.signal = signal
        super().__init__(str(signal))


class Replaced(Ignore):
    """Carries a canvas past Celery's tracer that a step puts in its own place."""

    def __init__(self, canvas: Any) -> None:
        self.canvas = canvas
        super().__init__("replaced")


def guard(task: Any) -> None:
    """Let this task's code raise signals, and run again as its author asked; once for each task."""
    if hasattr(task, "_orig_run"):  # what Celery's `autoretry_for` wraps: a failure that is signalled is one to it
        task._orig_run = _failing_plainly(task, _limited(task._orig_run))
        task.run = _guarded(task, task.run)
    else:
        task.run = _guarded(task, _limited(task.run))


def _guarded(task: Any, run: Callable[..., Any]) -> Callable[..., Any]:
    retries = getattr(task, "policy", _PLAIN).retries
    # Such a task may catch exceptions around its `run`: then a signal must stay what it is.
    is_wrapped = task_has_custom(task, "__call__")

    @wraps(run)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            value = run(*args, **kwargs)
        except (Ignore, Reject, Retry):
            raise
        except (Signal, Exception) as fault:
            if not _is_step(task):
                raise
            return _answer(task, fault, retries, is_wrapped=is_wrapped)
        _look_at_request(task)
        return value

    return guarded


def _look_at_request(task: Any) -> None:
    """Do what code that has returned asked for by its request. Raises Retry, RequestChanged."""
    request = vars(task.request)
    if "operation_id" not in request:
        return
    if "asked_again" in request:
        raise request["asked_again"]
    if not _LEADS_ON.isdisjoint(request):
        raise RequestChanged(task.name, sorted(_LEADS_ON & request.keys()))


def _limited(run: Callable[..., Any]) -> Callable[..., Any]:
    """Return the author's function: in it alone a soft time limit is raised, and no child that it forks leaves it."""

    @wraps(run)
    def limited(*args: Any, **kwargs: Any) -> Any:
        with ending_children():
            return soft_limit.run(run, args, kwargs)

    return limited


def _failing_plainly(task: Any, run: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(run)
    def failing(*args: Any, **kwargs: Any) -> Any:
        try:
            return run(*args, **kwargs)
        except FAIL as fault:
            if not _is_step(task):
                raise
            raise SignalledFailure(fault) from fault

    return failing


def _is_step(task: Any) -> bool:
    return getattr(task.request, "operation_id", None) is not None


def said() -> State | None:
    """The state in whose words the code ended that has just returned, if it used any; asked once."""
    state = _said.get()
    if state is not None:
        _said.set(None)
    return state


def unwrapped(fault: BaseException) -> BaseException:
    """Return what an author's code raised, where Celery was given a stand-in for it."""
    return fault.signal if isinstance(fault, SignalledFailure) else fault


def is_wanted(retries: Retries, fault: BaseException, done: int) -> bool:
    """Return whether the author wants another run after this failure; no child that is forked there goes on here."""
    with ending_children():
        return retries.wants(fault, done)


def _answer(task: Any, fault: Signal | Exception, retries: Retries | None, *, is_wrapped: bool) -> Any:
    if isinstance(fault, SUCCESS):
        _said.set(fault.state)
        return fault.state.result
    if isinstance(fault, RETRY) and not is_wrapped:
        cause = fault if str(fault) else None
        raise task.retry(exc=cause, eta=fault.start_time, max_retries=sys.maxsize, throw=False) from fault
    if isinstance(fault, Signal) and not isinstance(fault, FAIL):
        raise fault
    done = task.request.retries
    if retries is not None and is_wanted(retries, fault, done):
        raise task.retry(exc=fault, countdown=retries.wait(done), max_retries=retries.most, throw=False) from fault
    if isinstance(fault, FAIL) and not is_wrapped:
        raise SignalledFailure(fault) from fault
    raise fault
