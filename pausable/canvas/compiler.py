"""Compile a canvas or a flow into the graph of an operation's steps.

`pausable.canvas.reader` reads a canvas; `pausable.canvas.signatures` stores a step's call. The values that steps pass
on are those of plain Celery: a link gets what the previous link returned, and a group passes on the list of its
members' values.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from pausable.canvas.flow import find_bindings, without_nodes
from pausable.canvas.reader import Call, Fan, Point, Reader, kind_of
from pausable.canvas.signatures import LINKS, storable, stored_options, stored_signature, without_bookkeeping
from pausable.canvas.task import Sent, has_own_apply_async, record_apply_async
from pausable.errors import CanvasTooLarge, FlowMalformed, UnknownTasks, UnstorableArgument
from pausable.model.graph import Graph, Inputs, Node, PausePoint, numbers_in, slugs_for
from pausable.model.identity import CALLBACK_TASK, CLAUSE_TASK, MAPS, named
from pausable.model.nesting import DEEPEST_VALUE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import tzinfo

    from celery import Celery
    from celery.canvas import Signature

    from pausable.canvas.flow import Flow
    from pausable.canvas.flow import Node as FlowNode
    from pausable.canvas.reader import Canvas, Link
    from pausable.model.identity import Reference

MAX_EDGES = 1_000_000


def compile_canvas(canvas: Signature[Any], *, pause_every: int, app: Celery) -> Graph:
    """Return the steps of a canvas, with a pause point before each step that follows a `pause_or_continue`.

    Args:
        canvas: The canvas, which `tappable` may have given pause points.
        pause_every: In chains inside groups and chords, add a pause point after so many links; 0 adds none.
        app: The app whose tasks the canvas calls.

    Returns:
        The graph of the steps, and which steps make the result.

    Raises:
        CanvasRefused: The canvas cannot be run; one of its subclasses says why.
    """
    compiler = _Compiler(Reader(pause_every))
    result = compiler.compile(canvas).inputs
    if kind_of(canvas) == "group" and isinstance(result, list) and len(result) == 1 and isinstance(result[0], list):
        # Celery returns the inner list of an outermost group whose only member ends in a group.
        result = result[0]
    return Graph(compiler.nodes(app), result)


def compile_flow(
    flow: Flow, *, pause_every: int, app: Celery, errbacks: Sequence[Canvas] = ()
) -> tuple[Graph, dict[FlowNode, Inputs]]:
    """Return the steps of a flow, and the inputs that make up the value of each node.

    Args:
        flow: The flow.
        pause_every: Put a pause point before every so-many-th node of a path; 0 puts none.
        app: The app whose tasks the flow calls.
        errbacks: Error callbacks that every step gets besides its own.

    Returns:
        The graph, and for each node the steps whose results make its value.

    Raises:
        CanvasRefused: The flow cannot be run; one of its subclasses says why.
    """
    compiler = _Compiler(Reader(pause_every, errbacks))
    ends = compiler.compile_flow(flow, pause_every)
    result = ends[0].inputs if len(ends) == 1 else [end.inputs for end in ends]
    return Graph(compiler.nodes(app), result), {node: end.inputs for node, end in compiler.ends.items()}


class _Flow:
    """What a link passes on: the next link's first argument, further steps to wait for, and a pause point."""

    __slots__ = ("_waits", "after", "inputs", "point")

    def __init__(self, inputs: Inputs = None, after: tuple[int, ...] = (), point: PausePoint | None = None) -> None:
        self.inputs = inputs
        self.after = after
        self.point = point
        self._waits: tuple[int, ...] | None = None

    @property
    def waits(self) -> tuple[int, ...]:
        """Return every step that must end before the next one may start, each once."""
        if self._waits is None:
            self._waits = tuple(dict.fromkeys((*numbers_in(self.inputs), *self.after)))
        return self._waits


class _Compiler:
    """Numbers the steps in reading order, so that upstream steps have smaller numbers."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.steps: list[tuple[Call, _Flow]] = []
        #: Number of steps that belong to the canvas itself; the others are callbacks linked to them.
        self.own = 0
        #: Steps that end a branch of a group: (first such step of the group, index in the group, group id).
        self.members: dict[int, tuple[int, int, str | None]] = {}
        self.callbacks: deque[tuple[Canvas, _Flow]] = deque()
        self.points = 0
        self.edges = 0
        #: What the nodes of a flow pass on, and the names of the steps whose node has one.
        self.ends: dict[FlowNode, _Flow] = {}
        self.names: dict[int, str] = {}

    def compile(self, canvas: Canvas) -> _Flow:
        """Add the steps of the canvas, then those of its callbacks, which do not contribute to the result."""
        flow = self.branch(self.reader.whole(canvas), _Flow())
        self._lay_out_callbacks()
        return flow

    def _lay_out_callbacks(self) -> None:
        self.own = len(self.steps)
        while self.callbacks:
            callback, behind = self.callbacks.popleft()
            self.branch(self.reader.linked(callback), behind)

    def compile_flow(self, flow: Flow, pause_every: int) -> list[_Flow]:
        """Add the steps of a flow; return what the nodes that no other waits for pass on."""
        depths: dict[FlowNode, int] = {}
        for node in flow.order():
            before = node.waits_for()
            depths[node] = 1 + max((depths[one] for one in before), default=-1)
            after = tuple(dict.fromkeys(number for one in before for number in self.ends[one].waits))
            point = None
            if after and pause_every and depths[node] % pause_every == 0:
                self.points += 1
                point = PausePoint(self.points)
            first = len(self.steps)
            links = self.reader.whole(node.canvas)
            self.ends[node] = self.branch(links, _Flow(None, after, point))
            if node.name is not None:
                self._name(node, first)
        self._lay_out_callbacks()
        waited = {one for node in flow.nodes for one in node.waits_for()}
        return [self.ends[node] for node in flow.nodes if node not in waited]

    def _name(self, node: FlowNode, first: int) -> None:
        if len(self.steps) != first + 1:
            raise FlowMalformed(
                node.flow.name, f"the node {node.name!r} is a canvas, and only a task call can have a name"
            )
        self.names[first] = node.name or ""

    def branch(self, links: Sequence[Link], flow: _Flow) -> _Flow:
        for link in links:
            if isinstance(link, Call):
                flow = self.call(link, flow)
            elif isinstance(link, Fan):
                flow = self.fan(link, flow)
            else:
                flow = self.point(link, flow)
        return flow

    def call(self, call: Call, flow: _Flow) -> _Flow:
        if self.ends:
            call, flow = self._bound(call, flow)
        self.edges += len(flow.waits)
        if self.edges > MAX_EDGES:
            raise CanvasTooLarge("edges between steps", MAX_EDGES)
        behind = _Flow(len(self.steps))
        self.steps.append((call, flow))
        self.callbacks.extend((callback, behind) for callback in call.given.callbacks)
        return behind

    def _bound(self, call: Call, flow: _Flow) -> tuple[Call, _Flow]:
        """Return the call with None in place of nodes among its arguments, and the bindings for their values."""
        given = call.given
        try:
            places = list(find_bindings({"args": list(given.args), "kwargs": dict(given.kwargs)}))
            if not places:
                return call, flow
            kept = given._replace(args=tuple(without_nodes(given.args)), kwargs=without_nodes(dict(given.kwargs)))
        except RecursionError:
            raise UnstorableArgument(call.task, "an argument", f"is nested more than {DEEPEST_VALUE} deep") from None
        first = None if call.immutable else flow.inputs
        inputs: Inputs = {"first": first, "at": [[way, self.ends[node].inputs] for way, node in places]}
        return Call(call.task, kept, call.immutable), _Flow(inputs, flow.waits, flow.point)

    def fan(self, fan: Fan, flow: _Flow) -> _Flow:
        ends = [self.branch(branch, flow) for branch in fan.branches if branch]
        last = [(index, end.inputs) for index, end in enumerate(ends) if isinstance(end.inputs, int)]
        self.members |= {number: (last[0][1], index, fan.id) for index, number in last}
        if not ends:
            return _Flow([], flow.waits, flow.point)
        after = dict.fromkeys(number for end in ends for number in end.after)
        return _Flow([end.inputs for end in ends], tuple(after), next((end.point for end in ends if end.point), None))

    def point(self, point: Point, flow: _Flow) -> _Flow:
        """Drop a point with nothing before it; of two consecutive points, keep the one with the author's clause."""
        clause, callback = _authors(point.clause, "clause"), _authors(point.callback, "callback")
        if flow.waits and (clause or callback or flow.point is None):
            self.points += 1
            flow = _Flow(flow.inputs, flow.after, PausePoint(self.points, clause, callback))
        self.callbacks.extend((linked, flow) for linked in point.callbacks)
        return flow

    def nodes(self, app: Celery) -> tuple[Node, ...]:
        """Return the steps as nodes; raise CanvasRefused if one cannot be run or stored."""
        unknown = {name for call, flow in self.steps for name in _tasks_of(call, flow.point)} - app.tasks.keys()
        if unknown:
            raise UnknownTasks(sorted(unknown))
        slugs = slugs_for([call.task for call, _ in self.steps], self.names)
        own = {name for call, _ in self.steps if has_own_apply_async(app.tasks[name := call.task])}
        sent = [_with_own_apply_async(app, call) if call.task in own else call for call, _ in self.steps]
        calls = [_stored(slug, call, app.timezone) for slug, call in zip(slugs, sent, strict=True)]
        self._relate(slugs, calls)
        return tuple(
            _node(number, slug, signature, flow, is_beside=number >= self.own)
            for number, (slug, signature, (_, flow)) in enumerate(zip(slugs, calls, self.steps, strict=True))
        )

    def _relate(self, slugs: Sequence[str], calls: Sequence[dict[str, Any]]) -> None:
        """Add to the calls the parent, root and group ids that Celery's messages carry."""
        names = [named(slug, call) for slug, call in zip(slugs, calls, strict=True)]
        roots: list[Reference] = []
        for number, (call, (_, flow)) in enumerate(zip(calls, self.steps, strict=True)):
            family: dict[str, Any] = {}
            if flow.waits:
                family = {"parent": names[flow.waits[-1]], "root": roots[flow.waits[-1]]}
            roots.append(family.get("root", names[number]))
            family |= self._group(number, flow, slugs)
            if isinstance(flow.inputs, list) and "link_error" in call.get("options", ()):
                family["chord"] = True
            if family:
                call["family"] = family

    def _group(self, number: int, flow: _Flow, slugs: Sequence[str]) -> dict[str, Any]:
        """Return the group id and index of a member, or the group id for the step directly behind a group."""
        given = flow.inputs if isinstance(flow.inputs, list) else []
        before = next((self.members[one] for one in given if isinstance(one, int) and one in self.members), None)
        first, index, id_ = self.members.get(number) or before or (None, 0, None)
        if first is None:
            return {}
        group = {"id": id_} if id_ else slugs[first]
        return {"group": group, "index": index} if number in self.members else {"group": group}


def _with_own_apply_async(app: Celery, call: Call) -> Call:
    """Return the call as its task's own `apply_async` would send it, which may add headers, a queue or an id."""
    given = call.given
    options = {name: value for name, value in given.options.items() if name not in LINKS}
    sent = record_apply_async(app.tasks[call.task], Sent(given.args, given.kwargs, options))
    asked = given._replace(args=tuple(sent.args), kwargs=sent.kwargs, options=sent.options)
    return Call(call.task, asked, call.immutable)


def _stored(slug: str, call: Call, timezone: tzinfo) -> dict[str, Any]:
    given, options = call.given, {}
    if given.options or given.errbacks:
        options = stored_options(given.options, given.errbacks, step=slug, timezone=timezone)
    kwargs = _map_kwargs(given.kwargs) if call.task in MAPS else given.kwargs
    return stored_signature(call.task, given.args, kwargs, options=options, immutable=call.immutable, step=slug)


def _node(number: int, slug: str, signature: dict[str, Any], flow: _Flow, *, is_beside: bool) -> Node:
    if signature.get("immutable") and not isinstance(flow.inputs, dict):
        return Node(number, slug, signature, None, flow.waits, flow.point, is_beside)
    return Node(number, slug, signature, flow.inputs, flow.after, flow.point, is_beside)


def _map_kwargs(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the kwargs of `celery.map` or `celery.starmap`: the task's name, and `it` as a list."""
    return {"task": {"task": kwargs["task"]["task"]}, "it": list(kwargs["it"])}


def _tasks_of(call: Call, point: PausePoint | None) -> Iterator[str]:
    """Yield the names of all tasks that a worker calls for the step."""
    yield call.task
    if call.task in MAPS:
        yield call.given.kwargs["task"]["task"]
    if point:
        yield from (called["task"] for called in (point.clause, point.callback) if called)


def _authors(signature: Canvas | None, role: str) -> dict[str, Any] | None:
    """Return the author's own clause or callback; None if it is the service's."""
    if signature is None or signature["task"] in (CLAUSE_TASK, CALLBACK_TASK):
        return None
    own: dict[str, Any] = storable(without_bookkeeping(signature), "pause_or_continue", role, around=2)
    return own
