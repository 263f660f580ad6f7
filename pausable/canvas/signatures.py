"""The stored form of a step's task call, the arguments to call a task with, and `|` in constant time per link."""

from __future__ import annotations

import copy
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any, cast

from celery.canvas import Signature
from celery.utils.time import maybe_make_aware
from kombu import Exchange, Queue

from pausable.canvas.values import NestedTooDeeply, encode, stored
from pausable.celery_compat import Chain, app_of, copy_app_and_type
from pausable.errors import OptionRefused, UnstorableArgument
from pausable.model.graph import full_signature
from pausable.model.options import faults_in, read_eta, stamps_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import tzinfo

#: Options of a call that are stored with a step.
KEPT = frozenset({
    "compression", "countdown", "delivery_mode", "eta", "exchange", "exchange_type", "expires", "headers",
    "ignore_result", "priority", "queue", "routing_key", "serializer", "shadow", "soft_time_limit", "stamped_headers",
    "task_id", "time_limit",
})  # fmt: skip
#: Options stored differently: `link` becomes steps, `link_error` is stored as signatures.
LINKS = frozenset({"link", "link_error"})
#: Options without a meaning in an operation: Celery's bookkeeping, its publishing and its polling of chords.
DROPPED = frozenset({
    "add_to_parent", "argsrepr", "chain", "chord", "correlation_id", "group_id", "group_index", "immutable", "interval",
    "kwargsrepr", "max_retries", "parent_id", "replaced_task_nesting", "reply_to", "retry", "retry_policy", "root_id",
    "route_name", "use_link",
})  # fmt: skip

#: Options that Celery adds when it sends a signature: an error callback gets a new id each time.
_BOOKS = DROPPED | {"task_id"}

_SCALARS = frozenset({str, int, bool, type(None)})
_PLAIN = (str, int, float, type(None))
#: Nesting levels around an argument of an error callback: options, list of callbacks, callback, its arguments.
_AROUND_ERRBACKS = 4


def call_of(signature: Mapping[str, Any], *upstream: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return the args and kwargs to call a step's task with; the upstream value comes first unless it is immutable.

    Pass no `upstream` for a step without inputs, and the value (which may be None) for one with inputs.
    """
    given = () if signature.get("immutable") else upstream
    return [*given, *signature.get("args", ())], dict(signature.get("kwargs", ()))


def bound_call(
    signature: Mapping[str, Any], value: Mapping[str, Any], *, has_first: bool
) -> tuple[list[Any], dict[str, Any]]:
    """Return the args and kwargs to call a step's task with, after inserting the values of other steps.

    Args:
        signature: The stored call, with None where a value belongs.
        value: Gathered bindings: `{"first": value, "at": [[path, value], …]}`.
        has_first: Whether `first` is passed as the first argument.
    """
    call: Any = copy.deepcopy({"args": signature.get("args", []), "kwargs": signature.get("kwargs", {})})
    for way, part in value["at"]:
        place = call
        for key in way[:-1]:
            place = place[key]
        place[way[-1]] = part
    return call_of({**signature, **call}, *([value["first"]] if has_first else []))


def stored_signature(
    task: str, args: Sequence[Any], kwargs: Mapping[str, Any], *, options: Mapping[str, Any], immutable: bool, step: str
) -> dict[str, Any]:
    """Return the call of a step in its stored form.

    Args:
        task: The name of the task.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
        options: Its options, as `stored_options` returned them.
        immutable: Whether the upstream value is left out.
        step: The slug of the step, for messages.

    Raises:
        UnstorableArgument: JSON cannot hold a part of it.
    """
    kept: dict[str, Any] = {"task": task}
    if args:
        kept["args"] = storable(list(args), step, "args", around=1)
    if kwargs:
        kept["kwargs"] = storable(dict(kwargs), step, "kwargs", around=1)
    if options:
        kept["options"] = storable(dict(options), step, "options", around=_AROUND_ERRBACKS)
    if immutable:
        kept["immutable"] = True
    return kept


def stored_options(
    options: Mapping[str, Any], errbacks: Iterable[Mapping[str, Any]], *, step: str, timezone: tzinfo
) -> dict[str, Any]:
    """Return the options that are stored with a step.

    Args:
        options: The options of the call.
        errbacks: Its error callbacks.
        step: The slug of the step, for messages.
        timezone: The time zone of an `eta` without one.

    Raises:
        OptionRefused: An operation cannot honour an option.
    """
    for name, why in faults_in({name: options[name] for name in options if name == "stamped_headers"}):
        raise OptionRefused(step, name, why)
    stamps = stamps_in(options)
    unknown = options.keys() - KEPT - LINKS - DROPPED - stamps
    if unknown:
        raise OptionRefused(step, min(unknown))
    keeps = KEPT | stamps if stamps else KEPT
    kept = {name: _plain(options[name]) for name in options if name in keeps and options[name] is not None}
    for name, why in faults_in({name: value for name, value in kept.items() if name not in stamps}):
        raise OptionRefused(step, name, why)
    if stamps:
        kept["stamped_headers"] = sorted(stamps)
    if "eta" in kept:
        kept["eta"] = in_zone(kept["eta"], timezone).isoformat()
    if errbacks:
        kept["link_error"] = distinct(without_bookkeeping(errback) for errback in errbacks)
    return kept


def without_bookkeeping(signature: Mapping[str, Any]) -> dict[str, Any]:
    """Return a signature without Celery's bookkeeping: for error callbacks, clauses and callbacks."""
    options = {name: value for name, value in signature.get("options", {}).items() if name not in _BOOKS}
    return full_signature({**signature, "options": options})


def distinct(signatures: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the signatures in their order without duplicates."""
    kept: list[Mapping[str, Any]] = []
    for signature in signatures:
        if signature not in kept:
            kept.append(signature)
    return kept


def storable(part: list[Any] | dict[str, Any], step: str, name: str, *, around: int) -> Any:
    """Return a part of a call as JSON would restore it: tuples are lists, keys are strings.

    Args:
        part: The arguments, the options, or a whole signature.
        step: The slug of the step, for messages.
        name: The name of the part, for messages.
        around: How many nesting levels of the part are not the author's.

    Raises:
        UnstorableArgument: JSON cannot hold it.
    """
    values = part if isinstance(part, list) else part.values()
    if all(type(value) in _SCALARS for value in values):
        return part
    try:
        return stored(part, around=around)
    except NestedTooDeeply as why:
        raise UnstorableArgument(step, name, str(why).removeprefix("it ")) from None
    except Exception:  # a value's own serialisation may raise anything
        raise UnstorableArgument(step, *_first_fault(part, name)) from None


def in_zone(eta: datetime | str, timezone: tzinfo) -> datetime:
    """Return the moment of an `eta`; without a zone it is in the app's zone, as in Celery."""
    return maybe_make_aware(eta, tz=timezone) if isinstance(eta, datetime) else read_eta(eta, timezone)


def _plain(value: Any) -> Any:
    """Return the name of a kombu queue or exchange; any other value as it is."""
    return value.name if isinstance(value, Queue | Exchange) else value


def _first_fault(part: Any, name: str) -> tuple[str, str]:
    try:
        return next(_faults(part, name))
    except (RecursionError, StopIteration):
        return name, "is nested too deeply or contains itself"


def _faults(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the description of each value that JSON cannot hold."""
    if isinstance(value, dict):
        yield from ((path, f"has a key that is {_kind(key)}") for key in value if not isinstance(key, _PLAIN))
        for key, item in value.items():
            yield from _faults(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _faults(item, f"{path}[{index}]")
    elif isinstance(value, float) and not isfinite(value):
        yield path, f"is {value}"
    elif not isinstance(value, _PLAIN) and not _is_kept(value):
        yield path, f"is {_kind(value)}"


def _is_kept(value: Any) -> bool:
    try:
        encode(value)
    except Exception:  # a value's own serialisation may raise anything
        return False
    return True


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f"an {name}" if name[0] in "AEIOUaeiou" else f"a {name}"


class StepSignature(Signature[Any]):
    """The call of a step; `|` joins it to another call without copying either."""

    @classmethod
    def of(cls, call: Any) -> StepSignature:
        """Return the same call as a signature of this kind."""
        made: Any = cls(call)
        copy_app_and_type(call, made)
        return cast("StepSignature", made)

    def __or__(self, other: Any) -> Any:
        return _joined([self, other]) if _is_call(other) else super().__or__(other)


class _Calls(Chain):
    """A chain of plain calls; `|` makes a new chain that shares its calls."""

    def __or__(self, other: Any) -> Any:
        tasks = cast("Any", self).tasks
        is_plain = _is_call(other) and not self.options and all(map(_is_call, tasks[-1:]))
        return _joined([*tasks, other]) if is_plain else super().__or__(other)


def _joined(calls: list[Any]) -> Any:
    make: Any = _Calls
    return make(calls, app=app_of(calls[0]))


def _is_call(canvas: Any) -> bool:
    return isinstance(canvas, Signature) and canvas.subtask_type is None
