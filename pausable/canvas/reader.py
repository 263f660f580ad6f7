"""Read a canvas: turn chains, groups and chords, nested to any depth, into lists of links.

A link is a task call, a fan of parallel branches, or a pause point; a branch is a list of links. This does what Celery
(`celery/canvas.py`, 5.7) does before it sends the first message: it splices chains, flattens nested groups, unrolls a
group of one, and passes the settings of a chain, group or chord to its calls. The canvas is not changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from celery.utils.functional import chunks as split
from celery.utils.functional import maybe_list

from pausable.errors import CanvasTooDeep, CanvasTooLarge, NotACanvas
from pausable.model.identity import PAUSE_TASK
from pausable.model.options import stamps_in

MAX_DEPTH = 100
MAX_STEPS = 100_000

Canvas = Mapping[str, Any]


class Given(NamedTuple):
    """What a canvas passes to its calls; `callbacks` start with the result of a call, besides its successors."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}
    options: Mapping[str, Any] = {}
    errbacks: tuple[Canvas, ...] = ()
    callbacks: tuple[Canvas, ...] = ()


@dataclass(slots=True)
class Call:
    """One task call, which becomes a step; `given` holds its arguments and options."""

    task: str
    given: Given
    immutable: bool


@dataclass(slots=True)
class Fan:
    """Parallel branches; the list of their values is passed on, in this order. Empty branches are left out.

    `id` is the group's id if its author set one.
    """

    branches: list[list[Link]]
    id: str | None = None


@dataclass(slots=True)
class Point:
    """A pause point with its author's clause and callback, if any, and the callbacks linked to it."""

    clause: Canvas | None = None
    callback: Canvas | None = None
    callbacks: tuple[Canvas, ...] = ()


Link = Call | Fan | Point
#: Position of a part: the whole canvas, a link of a chain, or a member of a group or chord.
_Place = Literal["whole", "link", "part"]
_Part = tuple[Canvas, Given, _Place]

_NOTHING = Given()


class Reader:
    """Reads one canvas; in branches it adds a pause point after every `pause_every`-th link (0: none)."""

    def __init__(self, pause_every: int, errbacks: Iterable[Canvas] = ()) -> None:
        self.pause_every = pause_every
        self._given = Given(errbacks=tuple(errbacks)) if errbacks else _NOTHING
        self._calls = 0
        # Branches are read from this stack, so that deep canvases need no recursion.
        self._unread: list[_Branch] = []

    def whole(self, canvas: Canvas) -> list[Link]:
        """Return the links of a whole canvas; its outermost chain already has its pause points."""
        return self._read(canvas, 0, "whole")

    def linked(self, canvas: Canvas) -> list[Link]:
        """Return the links of a callback canvas, with pause points."""
        return self._read(canvas, 1, "part")

    def branch(self, canvas: Canvas, given: Given, depth: int, place: _Place = "part") -> list[Link]:
        """Return the links of a branch, which are filled in later; they stay empty if it contains no task."""
        if depth > MAX_DEPTH:
            raise CanvasTooDeep(MAX_DEPTH)
        self._unread.append(_Branch(self, (canvas, given, place), depth))
        return self._unread[-1].links

    def call(self, signature: Canvas, given: Given) -> Call:
        """Return the call of one task. Raise CanvasTooLarge after `MAX_STEPS` calls."""
        self._calls += 1
        if self._calls > MAX_STEPS:
            raise CanvasTooLarge("steps", MAX_STEPS)
        immutable = bool(signature.get("immutable"))
        if immutable and given is not _NOTHING:
            given = given._replace(args=(), kwargs={})
        given = _added(signature, given, {**signature.get("kwargs", {}), **given.kwargs})
        return Call(signature["task"], given, immutable)

    def _read(self, canvas: Canvas, depth: int, place: _Place) -> list[Link]:
        links = self.branch(canvas, self._given, depth, place)
        while self._unread:
            self._unread.pop().read()
        return links


class _Branch:
    """Reads one branch from left to right; `pending` is a stack of the parts still to be read."""

    def __init__(self, reader: Reader, part: _Part, depth: int) -> None:
        self.reader = reader
        self.depth = depth
        self.links: list[Link] = []
        self.pending = [part]
        self.holds_empty_group = False

    def read(self) -> None:
        while self.pending:
            self.take(*self.pending.pop())
        if self.holds_empty_group and not self.links:
            self.links.append(Fan([]))
        if self.depth and self.reader.pause_every and len(self.links) > 1:
            self.links[:] = list(_with_points(self.links, self.reader.pause_every))

    def take(self, part: Canvas, given: Given, place: _Place) -> None:
        match kind_of(part):
            case None:
                self.links.append(self.reader.call(part, given))
            case "chain":
                self.chain(part, given)
            case "group":
                self.group(part, given, place)
            case "chord":
                self.chord(part, given)
            case "chunks":
                self.chunks(part, given)
            case "point":
                self.point(part, given)

    def chain(self, chain: Canvas, given: Given) -> None:
        """Pass options to the first call, callbacks and an id to the last, error callbacks to all."""
        given, id_ = _without_id(_added(chain, given))
        each = Given(errbacks=given.errbacks) if given.errbacks else _NOTHING
        parts: list[_Part] = [(task, each, "link") for task in _tasks(chain)]
        if parts and (given is not _NOTHING or id_):
            parts[0] = (parts[0][0], given._replace(callbacks=()), "link")
            task, last, _ = parts[-1]
            options = {**last.options, "task_id": id_} if id_ else last.options
            parts[-1] = (task, last._replace(callbacks=given.callbacks, options=options), "link")
        self.pending.extend(reversed(parts))

    def group(self, group: Canvas, given: Given, place: _Place) -> None:
        """Add a group; within a chain, skip an empty group and unroll a group of one."""
        tasks, outer = list(_tasks(group)), given.errbacks
        is_header = len(tasks) > (place == "link") and self.is_followed()
        given, id_ = _without_id(_added(group, given._replace(errbacks=()) if is_header and outer else given))
        if place == "link" and not tasks:
            self.holds_empty_group = True
        elif place == "link" and len(tasks) == 1:
            self.pending.append((tasks[0], given, "part"))
        else:
            # Celery reverses groups nested in a group, unless the whole canvas is that group.
            fan = Fan([], id_)
            self.fan(fan, tasks, given, backwards=place != "whole", inner=outer if is_header else ())

    def is_followed(self) -> bool:
        """Return whether a link follows the current part: Celery then makes a group the header of a chord."""
        return any(kind_of(part) != "point" for part, _, _ in reversed(self.pending))

    def chord(self, chord: Canvas, given: Given) -> None:
        """Pass options to header and body, a delay to the header only, callbacks and error callbacks to the body."""
        own, outer, given = chord["kwargs"], given.errbacks, _added(chord, given)
        kwargs = {**(own.get("kwargs") or {}), **given.kwargs}
        header, id_ = _without_id(given._replace(kwargs=kwargs, callbacks=(), errbacks=()))
        self.fan(Fan([], id_), own["header"], header, inner=outer)
        options = {name: value for name, value in given.options.items() if name not in {"countdown", "eta"}}
        self.pending.append((own["body"], given._replace(args=(), kwargs={}, options=options), "part"))

    def chunks(self, chunks: Canvas, given: Given) -> None:
        """Add a `celery.starmap` call for each chunk; in Celery this gives a result only outside chains and groups."""
        own, (given, id_) = chunks["kwargs"], _without_id(_added(chunks, given))
        parts = (
            {"task": "celery.starmap", "kwargs": {"task": own["task"], "it": chunk}, "immutable": True}
            for chunk in split(iter(own["it"]), own["n"])
        )
        self.links.append(Fan([[self.reader.call(part, given)] for part in parts], id_))

    def point(self, point: Canvas, given: Given) -> None:
        own = point.get("kwargs", {})
        callbacks = _added(point, given).callbacks
        self.links.append(Point(own.get("clause"), own.get("callback"), callbacks))

    def fan(
        self, fan: Fan, tasks: Iterable[Canvas], given: Given, *, backwards: bool = True, inner: tuple[Canvas, ...] = ()
    ) -> None:
        """Fill the fan with branches; `inner` are error callbacks for those of them alone that are chords."""
        for task, all_given in _flattened(tasks, given, self.depth, backwards=backwards):
            is_linked = inner and kind_of(task) == "chord"
            whole = all_given._replace(errbacks=(*all_given.errbacks, *inner)) if is_linked else all_given
            fan.branches.append(self.reader.branch(task, whole, self.depth + 1))
        self.links.append(fan)


def kind_of(canvas: Any) -> str | None:
    """`chain`, `group`, `chord`, `chunks` or `point`; None for the call of a task. Raises `NotACanvas`."""
    if not isinstance(canvas, Mapping) or "task" not in canvas:
        raise NotACanvas(canvas)
    if canvas["task"] == PAUSE_TASK:
        return "point"
    if canvas["task"] == "celery.chunks":
        return "chunks"
    kind = canvas.get("subtask_type")
    return kind if kind in {"chain", "group", "chord"} else None


def _tasks(canvas: Canvas) -> Iterable[Canvas]:
    tasks: Iterable[Canvas] = canvas["kwargs"]["tasks"]
    return tasks


def _added(canvas: Canvas, given: Given, kwargs: Mapping[str, Any] | None = None) -> Given:
    """What is set on the canvas itself, overridden by what it is given; the first arguments are the outermost."""
    args, options = canvas.get("args"), canvas.get("options")
    if not (args or options or kwargs):
        return given
    options = options or {}
    return Given(
        (*given.args, *(args or ())),
        given.kwargs if kwargs is None else kwargs,
        _merged(options, given.options),
        (*linked(options.get("link_error")), *given.errbacks),
        (*linked(options.get("link")), *given.callbacks),
    )


def as_plain(value: Any) -> Any:
    """Return a copy of `value` as JSON would restore it: signatures are plain dicts and tuples are lists."""
    if isinstance(value, dict):
        return {key: as_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(item) for item in value]
    return value


def linked(calls: Any) -> Iterator[Canvas]:
    """Yield the calls that an option for callbacks holds, one or several. Raises `NotACanvas`."""
    for call in maybe_list(calls) or ():
        kind_of(call)
        yield call


def _merged(own: Mapping[str, Any], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options of a canvas overridden by those given, except the stamps it was created with."""
    if not (own and given):
        return own or given
    kept = {"stamped_headers", *stamps_in(own)} & own.keys()
    return {**own, **{name: value for name, value in given.items() if name not in kept}}


def _without_id(given: Given) -> tuple[Given, str | None]:
    """Split off the id, which belongs to a group or to the last task of a chain."""
    if "task_id" not in given.options:
        return given, None
    options = {name: value for name, value in given.options.items() if name != "task_id"}
    return given._replace(options=options), given.options["task_id"]


def _flattened(tasks: Iterable[Canvas], given: Given, depth: int, *, backwards: bool) -> Iterator[tuple[Canvas, Given]]:
    """Yield the members of a group, and those of the groups in it, each of these from its end when `backwards`."""
    if depth > MAX_DEPTH:
        raise CanvasTooDeep(MAX_DEPTH)
    for task in tasks:
        if kind_of(task) == "group":
            inner = list(_tasks(task))
            ordered = reversed(inner) if backwards else inner
            yield from _flattened(ordered, _added(task, given), depth + 1, backwards=backwards)
        else:
            yield task, given


def _with_points(links: list[Link], nth: int) -> Iterator[Link]:
    """Yield the links with a pause point after every nth, except after the last and where the author put one."""
    calls = [not isinstance(link, Point) for link in links]
    last, number = sum(calls), 0
    for index, link in enumerate(links):
        yield link
        number += calls[index]
        due = nth and calls[index] and number % nth == 0 and number < last
        if due and calls[index + 1]:
            yield Point()
