"""What is used of Celery, kombu and billiard beyond their documented interfaces, each with the reason.

`tests/test_celery_compat.py` has a test for each, which fails when a new version of these changes it.
"""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import billiard.pool
from billiard.common import terminate_handler_fired  # type: ignore[attr-defined] # its stubs are older
from celery._state import get_current_task
from celery.app.trace import build_tracer, task_has_custom, trace_task
from celery.canvas import _chain
from celery.worker import state as worker_state
from kombu.transport import virtual

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from celery.canvas import Signature

#: Run a task as a worker does, of which Celery documents only the effects: results, callbacks, retries, signals.
__all__ = ["build_tracer", "trace_task"]

_log = logging.getLogger(__name__)

#: The class of chains: `celery.chain` is a function that may return any call, and can have no subclass.
Chain = _chain


def app_of(call: Signature[Any]) -> Any:
    """Return the app that a call was made for, None if for none: the property `app` would look for the current one."""
    return cast("Any", call)._app


def copy_app_and_type(call: Signature[Any], copy: Signature[Any]) -> None:
    """Give a copy the app and the task of a call: a signature that is made of a dict has neither."""
    source, target = cast("Any", call), cast("Any", copy)
    target._app, target._type = source._app, source._type


def has_own_call(task: Any) -> bool:
    """Return whether the class of a task has a `__call__` of its own: Celery's tracer then calls this, not `run`."""
    return bool(task_has_custom(task, "__call__"))


_Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]


def wrap_run(task: Any, inside: _Wrapper, before_retries: _Wrapper, around: _Wrapper) -> None:
    """Wrap the function of a task: Celery's `autoretry_for` keeps it in `_orig_run`, and retries what this raises.

    Args:
        task: The task.
        inside: Wraps what the author has written.
        before_retries: Wraps that again if Celery retries what it raises.
        around: Wraps all of it, Celery's retries included.
    """
    if hasattr(task, "_orig_run"):
        task._orig_run = before_retries(inside(task._orig_run))
        task.run = around(task.run)
    else:
        task.run = around(inside(task.run))


def running_task() -> Any:
    """Return the task whose code runs here, None if none does: `celery.current_task` cannot be compared with None."""
    return get_current_task()


def call_task_errbacks(app: Any, request: Any, exc: BaseException, traceback: Any) -> None:
    """Call the error callbacks of a task as a worker does: some with what was raised, others as tasks with an id."""
    app.backend._call_task_errbacks(request, exc, traceback)


def is_terminating() -> bool:
    """Return whether a signal has told this process of a pool to end: what its code raises now is no end of a step.

    Billiard raises SystemExit then, which code may raise as well.
    """
    return bool(terminate_handler_fired())


def handle_soft_time_limits(handler: Callable[..., Any]) -> None:
    """Handle the soft time limits of this process, which is about to become one of a pool.

    Billiard has no option for it, and looks its own handler up by name once the process has been set up.
    """
    vars(billiard.pool)["soft_timeout_sighandler"] = handler


def write_signal_messages_with(write: Callable[..., Any]) -> None:
    """Have `write` write what a worker says in its signal handlers: it prints to stderr past all logging."""
    vars(import_module("celery.apps.worker"))["safe_say"] = write  # which only workers load


def reserved_deliveries() -> set[Any]:
    """Return the deliveries that this worker has taken and not finished; remote control tells them with a delay."""
    return set(worker_state.reserved_requests)


def active_deliveries() -> set[Any]:
    """Return the deliveries that processes of this worker run; remote control tells them with a delay."""
    return set(worker_state.active_requests)


def count_of_deliveries() -> int:
    """Return how many deliveries this worker has taken since its start; remote control tells it with a delay."""
    return int(worker_state.all_total_count[0])


def forget_delivery(delivery: Any) -> None:
    """Have the worker count a delivery as finished: it was given back to the broker, for which there is no method."""
    worker_state.task_ready(delivery)


def withdraw(semaphore: Any, delivery: Any) -> bool:
    """Remove a delivery that waits for a process of the pool; return whether it was waiting.

    A worker lets nobody take back what waits at the semaphore of its pool. It has none if its pool has no processes.
    """
    for waiter in getattr(semaphore, "_waiting", ()):
        _, args, _ = waiter
        if args and args[-1] is delivery:
            semaphore._waiting.remove(waiter)
            return True
    return False


def read_popped_message(channel: Any) -> None:
    """Read the message that Redis may have popped already: kombu sends BRPOP ahead and reads the reply later.

    When the connection is closed instead, the message is lost.
    """
    if getattr(channel, "_in_poll", None):
        try:
            channel._brpop_read()
        except Exception as why:  # no message was popped, or the broker is gone
            _log.debug("no popped message was received: %s", type(why).__name__)


def read_start_reports(pool: Any, seconds: float) -> None:
    """Read, for so many seconds at the most, what processes of the pool report about messages that they were given.

    A worker that shuts down closes its connection without doing so, and messages that were started but not yet
    acknowledged would be put back and run twice. Pools of threads report at once.
    """
    workers = pool._pool
    if not hasattr(workers, "_fileno_to_outq"):
        return
    ends_at = time.monotonic() + seconds
    while (sources := _unread_reports(workers)) and (left := ends_at - time.monotonic()) > 0:
        poll = select.poll()
        for source in sources:
            poll.register(source, select.POLLIN)
        for source, _ in poll.poll(left * 1000):
            workers._result_handler.handle_event(source)


def _unread_reports(workers: Any) -> set[int]:
    """Return the descriptors of the processes that were given a message and have not been heard to start it."""
    return {job._write_to.outqR_fd for job in workers._cache.values() if job._write_to and not job._accepted}


def restore_message(channel: Any, message: Any) -> None:
    """Put a message back at the head of its queue in Redis: kombu restores only messages of which it kept a copy."""
    sent = message.delivery_info
    with channel.conn_or_acquire() as client:
        channel._do_restore_message(message.serializable(), sent["exchange"], sent["routing_key"], client)


def queue_size(channel: Any, queue: str) -> int:
    """Return how many messages wait in a queue: kombu's own transports raise for one that is empty if asked openly."""
    if isinstance(channel, virtual.Channel):
        return int(cast("Any", channel)._size(queue))
    return int(channel.queue_declare(queue, passive=True).message_count)


def keep_client(channel: Any) -> None:
    """Let kombu's Redis channel publish with one client: it would make one for every message, at twice the cost."""
    if hasattr(channel, "_create_client") and "_create_client" not in vars(channel):
        client = channel._create_client()
        channel._create_client = lambda asynchronous=False: client  # noqa: ARG005


def library_errors(connection: Any) -> AbstractContextManager[None]:
    """Raise kombu's OperationalError for what a broker's client raises in this block, as `Producer.publish` does."""
    errors: AbstractContextManager[None] = connection._reraise_as_library_errors()
    return errors
