"""The stored form of a step's task call, how a task is called from it, and `|` that costs the same for each link."""

from __future__ import annotations

import copy
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any, cast

from celery.canvas import Signature, _chain
from celery.utils.time import maybe_make_aware
from kombu import Exchange, Queue

from pausable.canvas.values import NestedTooDeeply, encode, stored
from pausable.errors import OptionRefused, UnstorableArgument
from pausable.model.graph import full_signature
from pausable.model.options import faults_in, read_eta, stamps_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import tzinfo

#: Options of a call that a step keeps.
KEPT = frozenset({
    "compression", "countdown", "delivery_mode", "eta", "exchange", "exchange_type", "expires", "headers",
    "ignore_result", "priority", "queue", "routing_key", "serializer", "shadow", "soft_time_limit", "stamped_headers",
    "task_id", "time_limit",
})  # fmt: skip
#: Options kept in another way: `link` becomes steps of its own, `link_error` is kept as stored signatures.
LINKS = frozenset({"link", "link_error"})
#: Options that mean nothing to an operation: Celery's book-keeping, its own publishing and its polling of chords.
DROPPED = frozenset({
    "add_to_parent", "argsrepr", "chain", "chord", "correlation_id", "group_id", "group_index", "immutable", "interval",
    "kwargsrepr", "max_retries", "parent_id", "replaced_task_nesting", "reply_to", "retry", "retry_policy", "root_id",
    "route_name", "use_link",
})  # fmt: skip

#: What Celery writes into signatures that it sends: an error callback gets an id of its own each time.
_BOOKS = DROPPED | {"task_id"}

_SCALARS = frozenset({str, int, bool, type(None)})
_PLAIN = (str, int, float, type(None))
#: Levels around an argument of an error callback: the options, the list of callbacks, the callback, its arguments.
_AROUND_ERRBACKS = 4


def call_of(signature: Mapping[str, Any], *upstream: Any) -> tuple[list[Any], dict[str, Any]]:
    """The arguments to call a step's task with: what its upstreams hand it comes first, unless it is immutable.

    Give nothing for a step without inputs, and the value (which may be None) for one with inputs.
    """
    given = () if signature.get("immutable") else upstream
    return [*given, *signature.get("args", ())], dict(signature.get("kwargs", ()))


def bound_call(
    signature: Mapping[str, Any], value: Mapping[str, Any], *, has_first: bool
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments to call a step's task with, the values of others put into them: `value` is gathered bindings."""
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
    """The call of a step as it is stored; raises `UnstorableArgument` where JSON cannot hold it."""
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
    """The options that a step keeps; raises `OptionRefused` for one that an operation cannot honour."""
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
        kept["link_error"] = distinct(tidied(errback) for errback in errbacks)
    return kept


def tidied(signature: Mapping[str, Any]) -> dict[str, Any]:
    """A whole signature of Celery's, without its book-keeping: an error callback, a clause, a callback."""
    options = {name: value for name, value in signature.get("options", {}).items() if name not in _BOOKS}
    return full_signature({**signature, "options": options})


def distinct(signatures: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The signatures in their order, each once."""
    kept: list[Mapping[str, Any]] = []
    for signature in signatures:
        if signature not in kept:
            kept.append(signature)
    return kept


def storable(part: list[Any] | dict[str, Any], step: str, name: str, *, around: int) -> Any:
    """Return a part of a call as results are kept too: tuples are lists, keys are text.

    Args:
        part: The arguments, the options, or a whole signature.
        step: The step, as errors name it.
        name: The part, as errors name it.
        around: How many of the levels of the part are not the author's.

    Raises:
        UnstorableArgument: It cannot be kept.
    """
    values = part if isinstance(part, list) else part.values()
    if all(type(value) in _SCALARS for value in values):
        return part
    try:
        return stored(part, around=around)
    except NestedTooDeeply as why:
        raise UnstorableArgument(step, name, str(why).removeprefix("it ")) from None
    except Exception:  # a value may bring code of its own that makes JSON of it
        raise UnstorableArgument(step, *_first_fault(part, name)) from None


def in_zone(eta: datetime | str, timezone: tzinfo) -> datetime:
    """Return the moment that an `eta` names; one without a zone is in the app's, as in Celery."""
    return maybe_make_aware(eta, tz=timezone) if isinstance(eta, datetime) else read_eta(eta, timezone)


def _plain(value: Any) -> Any:
    """A kombu queue or exchange by its name."""
    return value.name if isinstance(value, Queue | Exchange) else value


def _first_fault(part: Any, name: str) -> tuple[str, str]:
    try:
        return next(_faults(part, name))
    except (RecursionError, StopIteration):
        return name, "is nested too deeply, or holds itself"


def _faults(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield where JSON cannot hold the value, and what stands there."""
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
    except Exception:  # a value may bring code of its own that makes JSON of it
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
        made: Any = cls(call, app=call._app)
        made._type = call._type
        return cast("StepSignature", made)

    def __or__(self, other: Any) -> Any:
        return _joined([self, other]) if _is_call(other) else super().__or__(other)


class _Calls(_chain):
    """A chain of plain calls; one that is joined to it makes a new chain, which shares the calls of this one."""

    def __or__(self, other: Any) -> Any:
        tasks = cast("Any", self).tasks
        is_plain = _is_call(other) and not self.options and all(map(_is_call, tasks[-1:]))
        return _joined([*tasks, other]) if is_plain else super().__or__(other)


def _joined(calls: list[Any]) -> Any:
    make: Any = _Calls
    return make(calls, app=calls[0]._app)


def _is_call(canvas: Any) -> bool:
    return isinstance(canvas, Signature) and canvas.subtask_type is None
