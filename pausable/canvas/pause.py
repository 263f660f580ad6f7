"""The pause point: a task between two steps that asks its clause whether to continue."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from celery import Task, shared_task
from celery.canvas import Signature, signature
from celery.exceptions import Ignore
from celery.utils import uuid
from celery.utils.functional import maybe_list
from kombu.serialization import register

from pausable.canvas.reader import as_plain
from pausable.celery_compat import trace_task
from pausable.errors import PausePointIncomplete, PausingNeedsWorker
from pausable.model.identity import PAUSE_TASK

if TYPE_CHECKING:
    from celery import Celery
    from celery.app.task import Context
    from celery.result import AsyncResult


def register_yaml_signatures() -> None:
    """Register `Signature` with PyYAML, if it is installed, as a dict.

    kombu writes yaml with `safe_dump`, which refuses subclasses of dict: with `task_serializer="yaml"` plain Celery
    cannot send a chain (https://github.com/celery/celery/issues/6901).
    """
    yaml = _installed("yaml")
    if yaml is not None:
        yaml.SafeDumper.add_multi_representer(Signature, lambda dumper, value: dumper.represent_dict(dict(value)))


def register_msgpack_signatures() -> None:
    """Make msgpack, if it is installed, write groups as dicts.

    `len(group)` is the number of its members, which msgpack takes for the number of keys: plain Celery sends an
    unreadable message when a chord follows another link.
    """
    msgpack = _installed("msgpack")
    if msgpack is not None:
        register(
            "msgpack",
            lambda value: msgpack.packb(as_plain(value), use_bin_type=True),
            lambda data: msgpack.unpackb(data, raw=False),
            content_type="application/x-msgpack",
            content_encoding="binary",
        )


def _installed(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


#: A signature, or the JSON-able dict of one.
AnySignature = Signature[Any] | dict[str, Any]


def ask(clause: AnySignature, retval: Any, app: Celery | None = None) -> bool:
    """Return whether to pause: whether `clause(retval, *partial)`, called in this process, returns a truthy value."""
    return bool(_callable(clause, app)(retval))


class PausePoint(Task[Any, Any]):
    """A task that a worker runs in place of sending it, so that a point between two links costs no message."""

    def apply_async(  # type: ignore[override]  # the stubs spell out every option; they are passed on untouched here
        self, args: Any = None, kwargs: Any = None, **options: Any
    ) -> AsyncResult[Any]:
        """Run the point in place when a worker sends it after a link or a group; otherwise publish a message."""
        sender = self.app.current_worker_task
        delayed = options.get("countdown") or options.get("eta")
        if sender is None or sender.request.is_eager or self.app.conf.task_always_eager or delayed:
            return super().apply_async(args, kwargs, **options)
        return self._carry_out(sender, args or (), kwargs or {}, options)

    def _carry_out(self, sender: Task[Any, Any], args: Any, kwargs: Any, options: dict[str, Any]) -> AsyncResult[Any]:
        """Run this point as if its message had been received: same result, callbacks, errbacks, chord and signals."""
        task_id = options.pop("task_id", None) or uuid()
        request = self._request(task_id, sender.request, args, kwargs, options)
        trace_task(self, task_id, args, kwargs, request, app=self.app)
        result = self.AsyncResult(task_id)
        # Celery sends the chain of a redelivered task again unless the task has children. A paused point must be
        # recorded as a child too: otherwise a redelivery after the resume starts the rest a second time.
        if options.get("add_to_parent", True):
            sender.add_trail(result)
        return result

    def _request(
        self, task_id: str, sender: Context, args: Any, kwargs: Any, options: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the request that a worker would build from the message of this point."""
        options.setdefault("root_id", sender.root_id or sender.id)
        options.setdefault("parent_id", sender.id)
        options.setdefault("ignore_result", self.ignore_result)
        callbacks, errbacks = maybe_list(options.pop("link", None)), maybe_list(options.pop("link_error", None))
        message = self.app.amqp.as_task_v2(
            task_id, self.name, args, kwargs, callbacks=callbacks, errbacks=errbacks, **options
        )
        surroundings = {"delivery_info": sender.delivery_info, "hostname": sender.hostname}
        return {**message.headers, **message.properties, **message.body[2], **surroundings}


@shared_task(bind=True, base=PausePoint, name=PAUSE_TASK)
def pause_or_continue(
    self: PausePoint, retval: Any = None, *, clause: AnySignature | None = None, callback: AnySignature | None = None
) -> Any:
    """Return `retval` to the next link, or stop and pass the remaining links to the callback if the clause says so.

    Args:
        self: The task.
        retval: The result of the previous link.
        clause: Called as `clause(retval, *partial)` in this process; a truthy result means pause.
        callback: Called as `callback(retval, remaining, *partial)` in this process. `remaining` is a list of JSON-able
            signatures in order, later pause points included: `chain(signature(s) for s in remaining)(retval)`
            continues.

    Returns:
        `retval`; the clause is not called if nothing remains.

    Raises:
        PausePointIncomplete: The clause or the callback is missing.
        PausingNeedsWorker: The clause says to pause in eager mode.
    """
    if clause is None or callback is None:
        raise PausePointIncomplete("clause" if clause is None else "callback")
    remaining = _remaining_after(self.request)
    if not (remaining or self.request.is_eager) or not ask(clause, retval, self.app):
        return retval
    if self.request.is_eager:
        raise PausingNeedsWorker
    _callable(callback, self.app)(retval, remaining)
    # Keep the chain in the request: clearing it does not stop Celery from sending it when the task is redelivered.
    raise Ignore(f"paused before {remaining[0]['task']}")


def _remaining_after(request: Context) -> list[dict[str, Any]]:
    """Return what runs after the task of `request`, as JSON-able signatures in order.

    They keep the ids of prepared links, so that a client waiting for a result gets it after the resume.
    """
    following: list[Any] = list(reversed(request.chain or []))
    callbacks: list[Any] = list(request.callbacks or [])
    if len(callbacks) == 1 and not following and not request.chord:
        following = callbacks
    elif callbacks or request.chord:
        following.insert(0, _link_for_point(request))
    return [as_plain(link) for link in following]


def _link_for_point(request: Context) -> Signature[Any]:
    """Return a link that passes its argument on and triggers what the point of `request` would have triggered.

    Only the point carries its callbacks and its chord, so they would be lost with it. `celery.accumulate` is a built-in
    task that every app knows.
    """
    options = {
        "task_id": request.id,
        "root_id": request.root_id,
        "group_id": request.group,
        "group_index": request.group_index,
        "chord": request.chord,
        "link": request.callbacks,
        "link_error": request.errbacks,
    }
    kept = {name: value for name, value in options.items() if value is not None}
    return signature("celery.accumulate", kwargs={"index": 0}, options=kept)


def _callable(call: AnySignature, app: Celery | None) -> Signature[Any]:
    """Return the signature, or the one described by a dict, bound to `app`."""
    return call if isinstance(call, Signature) else signature(call, app=app)


register_yaml_signatures()
register_msgpack_signatures()
