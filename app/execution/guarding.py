"""What a step's code raises, put into words that Celery's tracer knows: signals, and failures worth another run.

It is done inside Celery's tracing, so that its signals and hooks tell of a retry as of one that the code asked for.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from celery.exceptions import Ignore, Reject, Retry

from app.domain.signals import FAIL, RETRY, SUCCESS, Signal
from app.execution.policies import StepPolicy

if TYPE_CHECKING:
    from app.domain.retries import Retries
    from app.domain.states import State

#: The state of the last success that was signalled here, until it is asked for: a plain return has no message.
_said: ContextVar[State | None] = ContextVar("said", default=None)
_PLAIN: Final = StepPolicy()


class Signalled(Ignore):
    """Carries a signal past Celery's tracer, which counts it neither as a success nor as a failure."""

    def __init__(self, signal: Signal) -> None:
        self.state = signal.state
        super().__init__(str(signal))


class Replaced(Ignore):
    """Carries a canvas past Celery's tracer that a step puts in its own place."""

    def __init__(self, canvas: Any) -> None:
        self.canvas = canvas
        super().__init__("replaced")


def guard(task: Any) -> None:
    """Let this task's code raise signals, and run again as its author asked; once for each task."""
    run, retries = task.run, getattr(task, "policy", _PLAIN).retries

    @wraps(run)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return run(*args, **kwargs)
        except (Ignore, Reject, Retry):
            raise
        except Exception as fault:
            if getattr(task.request, "operation_id", None) is None:
                raise
            return _answer(task, fault, retries)

    task.run = guarded


def said() -> State | None:
    """The state in whose words the code ended that has just returned, if it used any; asked once."""
    state = _said.get()
    if state is not None:
        _said.set(None)
    return state


def _answer(task: Any, fault: Exception, retries: Retries | None) -> Any:
    if isinstance(fault, SUCCESS):
        _said.set(fault.state)
        return fault.state.result
    if isinstance(fault, RETRY):
        cause = fault if str(fault) else None
        raise task.retry(exc=cause, eta=fault.start_time, max_retries=sys.maxsize, throw=False) from fault
    if isinstance(fault, Signal) and not isinstance(fault, FAIL):
        raise Signalled(fault) from None
    done = task.request.retries
    if retries is None or not retries.wants(fault, done):
        raise fault
    raise task.retry(exc=fault, countdown=retries.wait(done), max_retries=retries.most, throw=False) from fault
