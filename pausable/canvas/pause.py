"""The pause point: the task that is put between two steps, and that asks whether to go on."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from celery import Task, shared_task
from celery.app.trace import trace_task
from celery.canvas import Signature, signature
from celery.exceptions import Ignore
from celery.utils import uuid
from celery.utils.functional import maybe_list
from kombu.serialization import register

from pausable.errors import PausePointIncomplete, PausingNeedsWorker
from pausable.model.identity import PAUSE_TASK

if TYPE_CHECKING:
    from celery import Celery
    from celery.app.task import Context
    from celery.result import AsyncResult


def as_plain(value: Any) -> Any:
    """A copy of `value` in which signatures are plain dicts and tuples are lists, as JSON would give them back."""
    if isinstance(value, dict):
        return {key: as_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(item) for item in value]
    return value


def let_yaml_write_signatures() -> None:
    """Teach PyYAML, where it is installed, that a signature is a dict.

    kombu writes yaml with `safe_dump`, which refuses subclasses of dict: with `task_serializer="yaml"` bare Celery
    cannot send any chain (https://github.com/celery/celery/issues/6901).
    """
    yaml = _installed("yaml")
    if yaml is not None:
        yaml.SafeDumper.add_multi_representer(Signature, lambda dumper, value: dumper.represent_dict(dict(value)))


def let_msgpack_write_signatures() -> None:
    """Have msgpack, where it is installed, write the dict that a group is.

    The length of a group is the number of its members, and msgpack takes it for the number of the dict's keys: bare
    Celery sends a message that cannot be read when a chord follows another link.
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
    """Whether to pause: true when `clause(retval, *partial)`, called in this process, answers anything truthy."""
    return bool(_callable(clause, app)(retval))


class PausePoint(Task[Any, Any]):
    """A task that a worker carries out where it would send it, so that a point between two links costs no message."""

    def apply_async(  # type: ignore[override]  # the stubs spell out every option; they are passed on untouched here
        self, args: Any = None, kwargs: Any = None, **options: Any
    ) -> AsyncResult[Any]:
        """Ask the clause here when a worker sends this, after a link or a group; publish a message anywhere else."""
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
        # Celery's deduplication sends the chain of a redelivered task again unless the task has children. A paused
        # point is such a child too: without it, a redelivery after the resume would start the rest a second time.
        if options.get("add_to_parent", True):
            sender.add_trail(result)
        return result

    def _request(
        self, task_id: str, sender: Context, args: Any, kwargs: Any, options: dict[str, Any]
    ) -> dict[str, Any]:
        """The request that a worker would build from this point's message; `options` are those of `apply_async`."""
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
    """Hand `retval` on to the next link; or, when the clause says so, stop here and hand what remains to the callback.

    `clause(retval, *partial)` and `callback(retval, remaining, *partial)` are called in this process. `remaining` is a
    list of JSON-able signatures, left to right, later pause points included:
    `chain(signature(s) for s in remaining)(retval)` goes on. Nothing is asked where nothing remains.

    Raises:
        PausePointIncomplete: There is no clause or no callback.
        PausingNeedsWorker: The clause says to pause, in eager mode.
    """
    if clause is None or callback is None:
        raise PausePointIncomplete("clause" if clause is None else "callback")
    remaining = _remaining_after(self.request)
    if not (remaining or self.request.is_eager) or not ask(clause, retval, self.app):
        return retval
    if self.request.is_eager:
        raise PausingNeedsWorker
    _callable(callback, self.app)(retval, remaining)
    # The chain must stay in the request: clearing it does not stop Celery from sending it when the task is redelivered.
    raise Ignore(f"paused before {remaining[0]['task']}")


def _remaining_after(request: Context) -> list[dict[str, Any]]:
    """What runs after the task of `request` succeeds, as JSON-able signatures from left to right.

    Celery keeps the ids of prepared links in them, so a result that a client waits for comes when they are resumed.
    """
    following: list[Any] = list(reversed(request.chain or []))
    callbacks: list[Any] = list(request.callbacks or [])
    if len(callbacks) == 1 and not following and not request.chord:
        following = callbacks
    elif callbacks or request.chord:
        following.insert(0, _stand_in(request))
    return [as_plain(link) for link in following]


def _stand_in(request: Context) -> Signature[Any]:
    """A link that returns what it is given and then does all that the point of `request` would have set off itself.

    Only the point knows its callbacks and the chord that waits for it: without a link in its place these would be lost.
    `celery.accumulate` is Celery's own and known to every app.
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
    """The signature itself, or the one that a dict describes, bound to `app`."""
    return call if isinstance(call, Signature) else signature(call, app=app)


let_yaml_write_signatures()
let_msgpack_write_signatures()
