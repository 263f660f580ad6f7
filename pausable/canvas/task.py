"""The base class of tasks that run as steps: the engine takes over whatever would send a message for the step."""

from __future__ import annotations

import signal
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from celery import Task
from celery.exceptions import Ignore, ImproperlyConfigured, Retry, WorkerShutdown, WorkerTerminate
from celery.utils import uuid

from pausable.canvas.signatures import StepSignature
from pausable.celery_compat import Chain, is_terminating
from pausable.errors import AddToChordRefused, ApplyAsyncUnfit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def is_author_error(leaving: BaseException) -> bool:
    """Return whether the author's code raised this exception, rather than the end of the worker or process.

    A terminated process of a pool is recognised by billiard's flag, whatever exit code the step chooses.
    """
    if is_terminating() or isinstance(leaving, WorkerShutdown | WorkerTerminate):
        return False
    return not (isinstance(leaving, KeyboardInterrupt) and _is_interruptible())


def _is_interruptible() -> bool:
    """Return whether Ctrl-C raises KeyboardInterrupt here: in the main thread, with Python's own handler.

    Processes of a pool ignore the signal, and workers install their own handlers.
    """
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Replaced(Ignore):
    """Carries the canvas that replaces a step past Celery's tracer."""

    def __init__(self, canvas: Any) -> None:
        self.canvas = canvas
        super().__init__("replaced")


if TYPE_CHECKING:
    AnyTask = Task[Any, Any]


class Sent(NamedTuple):
    """What a task's `apply_async` would put into a message."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    options: Mapping[str, Any]


class _Asked(NamedTuple):
    """A task whose `apply_async` is being recorded, and the messages it would send."""

    task: AnyTask
    sent: list[Sent]


#: The recording in this context; while it is set, the task sends no message.
_asked: ContextVar[_Asked | None] = ContextVar("asked", default=None)


#: Parameters of `celery.Task.retry` in order; any other argument is an option of the next run.
_OF_RETRY: Final = ("args", "kwargs", "exc", "throw", "eta", "countdown", "max_retries")


class Step(Task[Any, Any]):
    """The base class of steps; sent as a message of its own, such as an error callback, it is a plain Celery task."""

    abstract = True

    def signature(self, *args: Any, **options: Any) -> Any:
        """Return a call of the task, as `celery.Task.signature`; `|` joins thousands of them in linear time."""
        return StepSignature.of(Task.signature(self, *args, **options))

    def retry(self, *args: Any, **options: Any) -> Any:
        """Request another run later, as `celery.Task.retry`; the engine keeps the schedule and nothing is published.

        Options apply to the next run. With `throw=False`, the step is run again once its code has returned.
        """
        if not is_step(self):
            return Task.retry(self, *args, **options)
        asked = dict(zip(_OF_RETRY, args, strict=False)) | options
        throw = asked.pop("throw", True)
        request: Any = self.request
        # Celery publishes the retry itself unless the request is eager.
        request.is_eager = True
        try:
            Task.retry(self, **asked)
        except Retry as again:
            vars(again)["options"] = {name: value for name, value in asked.items() if name not in _OF_RETRY}
            if throw:
                raise
            request.asked_again = again
            return again
        finally:
            request.is_eager = False

    def replace(self, sig: Any) -> Any:
        """End here and put a canvas in place of this step: downstream steps get its value instead."""
        if not is_step(self):
            return Task.replace(self, sig)
        if isinstance(sig, Chain) and not sig.tasks:
            raise ImproperlyConfigured("Cannot replace with an empty chain")
        return self.on_replace(sig)

    def on_replace(self, sig: Any) -> Any:
        """Raise Replaced with the canvas that takes the step's place; a base class may change the canvas first."""
        if not is_step(self):
            return Task.on_replace(self, sig)
        raise Replaced(sig)

    def add_to_chord(self, *args: Any, **options: Any) -> Any:
        """Do as Celery does outside a step. Raise AddToChordRefused in a step."""
        if is_step(self):
            raise AddToChordRefused(self.name)
        return super().add_to_chord(*args, **options)

    def apply_async(self, args: Any = None, kwargs: Any = None, task_id: Any = None, **options: Any) -> Any:  # type: ignore[override]
        """Send a message, or record the call while the compiler asks what would be sent."""
        asked = _asked.get()
        if asked is None or asked.task is not self:
            return Task.apply_async(self, args, kwargs, task_id, **options)
        if task_id is not None:
            options["task_id"] = task_id
        asked.sent.append(Sent(args or (), kwargs or {}, options))
        return self.AsyncResult(task_id or uuid())


def is_step(task: AnyTask) -> bool:
    """Return whether the task is running as a step."""
    return getattr(task.request, "operation_id", None) is not None


def make_step(task: AnyTask) -> None:
    """Make a task of an author's base class behave as a step wherever that class does not override it."""
    kind: Any = type(task)
    if not issubclass(kind, Step):
        told = {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__")}
        task.__class__ = type(kind.__name__, (kind, Step), told)


def has_own_apply_async(task: AnyTask) -> bool:
    """Return whether the base class of a task overrides `apply_async`."""
    first = next(kind for kind in type(task).__mro__ if "apply_async" in vars(kind))
    return first.__module__ not in _KNOWN


#: Modules whose `apply_async` is not an author's.
_KNOWN = frozenset({Task.__module__, __name__, "pausable.canvas.pause"})


def record_apply_async(task: AnyTask, call: Sent) -> Sent:
    """Return a call as the `apply_async` of the task's base class would send it, without sending it.

    Args:
        task: A task whose base class overrides `apply_async`.
        call: The arguments and options of its signature; upstream values are not known yet.

    Raises:
        ApplyAsyncUnfit: It raised, or did not send exactly one message.
    """
    make_step(task)
    asked = _Asked(task, [])
    token = _asked.set(asked)
    try:
        task.apply_async(tuple(call.args), dict(call.kwargs), **dict(call.options))
    except BaseException as fault:  # raised by the author's code
        if not is_author_error(fault):
            raise
        raise ApplyAsyncUnfit(task.name, f"raised {type(fault).__name__}: {fault}") from fault
    finally:
        _asked.reset(token)
    if len(asked.sent) != 1:
        raise ApplyAsyncUnfit(task.name, f"sent {len(asked.sent)} messages, but a step is exactly one")
    return asked.sent[0]
