"""The base class of tasks that run as steps: the engine does what would send a message of the step itself."""

from __future__ import annotations

import signal
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from billiard.common import terminate_handler_fired  # type: ignore[attr-defined] # its stubs are older
from celery import Task
from celery.canvas import _chain
from celery.exceptions import Ignore, ImproperlyConfigured, Retry, WorkerShutdown, WorkerTerminate
from celery.utils import uuid

from pausable.canvas.signatures import StepSignature
from pausable.errors import AddToChordRefused, ApplyAsyncUnfit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def is_of_the_code(leaving: BaseException) -> bool:
    """Return whether an author's code raised this, rather than a worker or a person who ends this process.

    A process of the pool that is told to leave says so by billiard's own handler, whatever exit code a step chooses.
    """
    if is_told_to_leave() or isinstance(leaving, WorkerShutdown | WorkerTerminate):
        return False
    return not (isinstance(leaving, KeyboardInterrupt) and _may_be_interrupted())


def is_told_to_leave() -> bool:
    """Return whether a signal has told this process of a pool to end: what its code raises now is no end of a step."""
    return bool(terminate_handler_fired())


def _may_be_interrupted() -> bool:
    """Return whether Ctrl-C raises KeyboardInterrupt here: in the main thread of a program that left it to Python.

    Processes of a pool ignore the signal, and workers have handlers of their own.
    """
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Replaced(Ignore):
    """Carries a canvas past Celery's tracer that a step puts in its own place."""

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
    """A task that is asked what it would send, and its answers."""

    task: AnyTask
    sent: list[Sent]


#: Which task is asked here what it would send: nothing of it is sent meanwhile.
_asked: ContextVar[_Asked | None] = ContextVar("asked", default=None)


#: The parameters of `celery.Task.retry`, in their order; whatever else it is given is an option of the next run.
_OF_RETRY: Final = ("args", "kwargs", "exc", "throw", "eta", "countdown", "max_retries")


class Step(Task[Any, Any]):
    """Sent as a message of its own, as an error callback is, it behaves as any task of Celery's."""

    abstract = True

    def signature(self, *args: Any, **options: Any) -> Any:
        """Return a call of the task, as `celery.Task.signature`; `|` joins thousands of them without copying each."""
        return StepSignature.of(Task.signature(self, *args, **options))

    def retry(self, *args: Any, **options: Any) -> Any:
        """Ask to be run again later, as `celery.Task.retry`; the engine keeps the time, the broker sees nothing.

        The options are those of the next run. With `throw=False`, it is run again once its code has returned.
        """
        if not is_step(self):
            return Task.retry(self, *args, **options)
        asked = dict(zip(_OF_RETRY, args, strict=False)) | options
        throw = asked.pop("throw", True)
        request: Any = self.request
        # Celery publishes the retry itself unless the request says that it runs eagerly.
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
        """End here, and put a canvas in this step's place: whatever waits for it is given that one's value instead."""
        if not is_step(self):
            return Task.replace(self, sig)
        if isinstance(sig, _chain) and not sig.tasks:
            raise ImproperlyConfigured("Cannot replace with an empty chain")
        return self.on_replace(sig)

    def on_replace(self, sig: Any) -> Any:
        """Leave the code with what takes the step's place; a base class may change that before."""
        if not is_step(self):
            return Task.on_replace(self, sig)
        raise Replaced(sig)

    def add_to_chord(self, *args: Any, **options: Any) -> Any:
        """Do as Celery does; a step is refused it. Raises AddToChordRefused."""
        if is_step(self):
            raise AddToChordRefused(self.name)
        return super().add_to_chord(*args, **options)

    def apply_async(self, args: Any = None, kwargs: Any = None, task_id: Any = None, **options: Any) -> Any:  # type: ignore[override]
        """Send a message, or tell the compiler, which asks, what would be sent."""
        asked = _asked.get()
        if asked is None or asked.task is not self:
            return Task.apply_async(self, args, kwargs, task_id, **options)
        if task_id is not None:
            options["task_id"] = task_id
        asked.sent.append(Sent(args or (), kwargs or {}, options))
        return self.AsyncResult(task_id or uuid())


def is_step(task: AnyTask) -> bool:
    """Whether the task runs as a step now."""
    return getattr(task.request, "operation_id", None) is not None


def as_step(task: AnyTask) -> None:
    """Let a task of the author's own base class behave as a step where that class does not say otherwise."""
    kind: Any = type(task)
    if not issubclass(kind, Step):
        told = {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__")}
        task.__class__ = type(kind.__name__, (kind, Step), told)


def sends_itself(task: AnyTask) -> bool:
    """Whether the base class of a task has an `apply_async` of the author's own."""
    first = next(kind for kind in type(task).__mro__ if "apply_async" in vars(kind))
    return first.__module__ not in _KNOWN


#: Where the `apply_async` of tasks is written that no author has a hand in.
_KNOWN = frozenset({Task.__module__, __name__, "pausable.canvas.pause"})


def as_sent(task: AnyTask, call: Sent) -> Sent:
    """Return a call as the `apply_async` of the task's base class would send it; nothing is sent.

    Args:
        task: A task whose base class has an `apply_async` of its own.
        call: The arguments and options of its signature; what steps before it hand on is not known yet.

    Raises:
        ApplyAsyncUnfit: It raised, or sent nothing.
    """
    as_step(task)
    asked = _Asked(task, [])
    token = _asked.set(asked)
    try:
        task.apply_async(tuple(call.args), dict(call.kwargs), **dict(call.options))
    except BaseException as fault:  # the author's code
        if not is_of_the_code(fault):
            raise
        raise ApplyAsyncUnfit(task.name, f"raised {type(fault).__name__}: {fault}") from fault
    finally:
        _asked.reset(token)
    if len(asked.sent) != 1:
        raise ApplyAsyncUnfit(task.name, f"sent {len(asked.sent)} messages where a step is one")
    return asked.sent[0]
