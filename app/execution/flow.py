"""A flow: a graph of steps that an author puts together node by node, where a chain or group would say too much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.canvas import Signature

from app.errors import FlowCyclic, FlowMalformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Node:
    """One part of a flow: a task call, or a whole canvas. Given to another as an argument, it stands for its value."""

    def __init__(self, flow: Flow, canvas: Signature[Any], name: str | None) -> None:
        self.flow = flow
        self.canvas = canvas
        self.name = name
        self.upstream: dict[Node, None] = {}

    def __repr__(self) -> str:
        return f"<Node {self.label}>"

    def __deepcopy__(self, _memo: object) -> Node:
        return self  # Celery copies the arguments of signatures, and what they stand for stays the same

    __copy__ = __deepcopy__

    @property
    def label(self) -> str:
        """What it is called in messages."""
        return self.name or str(self.canvas["task"]).rpartition(".")[2]

    def inputs(self) -> list[Node]:
        """The nodes whose values its calls are given, each once."""
        return list(dict.fromkeys(nodes_in(self.canvas)))

    def waits_for(self) -> list[Node]:
        """The nodes that must end before it may start, each once."""
        return list(dict.fromkeys((*self.inputs(), *self.upstream)))


class Flow:
    """Nodes and what waits for what: each node starts as soon as those before it have ended, and waits for no other."""

    def __init__(self, name: str = "flow") -> None:
        self.name = name
        self.nodes: list[Node] = []

    def add(self, canvas: Signature[Any], *, upstream: Iterable[Node] = (), name: str | None = None) -> Node:
        """Add a node: a task call such as `load.s(source)`, or a canvas.

        A node among its arguments, also within lists and dicts, is replaced by its value, and waited for; those in
        `upstream` are only waited for. `name` is its step's slug. Raises FlowMalformed.
        """
        if not isinstance(canvas, Signature):
            raise FlowMalformed(self.name, f"{canvas!r} is no task call: add `task.s(…)`, or a canvas")
        if name is not None and any(node.name == name for node in self.nodes):
            raise FlowMalformed(self.name, f"two of its nodes are called {name!r}: give each a name of its own")
        node = Node(self, canvas, name)
        self.nodes.append(node)
        for before in upstream:
            self.edge(before, node)
        return node

    def map(self, task: Any, over: Iterable[Any], *, upstream: Iterable[Node] = ()) -> list[Node]:
        """Add a call of the task for each of these nodes or values; returns the new nodes in their order."""
        before = list(upstream)
        return [self.add(task.s(one), upstream=before) for one in over]

    def edge(self, upstream: Node, downstream: Node) -> None:
        """Let one node wait for another without being given its value. Raises FlowMalformed."""
        for node in (upstream, downstream):
            if getattr(node, "flow", None) is not self:
                raise FlowMalformed(self.name, f"{node!r} is no node of it: give what `add` of this flow returned")
        downstream.upstream[upstream] = None

    def order(self) -> list[Node]:
        """The nodes in topological order, those added first first. Raises FlowCyclic, FlowMalformed."""
        waits = {node: self._known(node) for node in self.nodes}
        done: dict[Node, None] = {}
        for node in self.nodes:
            self._visit(node, waits, done)
        return list(done)

    def _known(self, node: Node) -> list[Node]:
        if unknown := [one for one in node.waits_for() if one.flow is not self]:
            raise FlowMalformed(self.name, f"{node.label} is given {unknown[0].label}, a node of another flow")
        return node.waits_for()

    @staticmethod
    def _visit(start: Node, waits: dict[Node, list[Node]], done: dict[Node, None]) -> None:
        """Put a node behind all that it waits for, without recursion: a flow may be ten thousand nodes deep."""
        path: dict[Node, Iterator[Node]] = {}
        ahead: Node | None = None if start in done else start
        while path or ahead:
            if ahead is not None:
                path[ahead] = iter(waits[ahead])
            node, before = next(reversed(path.items()))
            ahead = next((one for one in before if one not in done), None)
            if ahead is None:
                path.pop(node)
                done[node] = None
            elif ahead in path:
                around = list(path)[list(path).index(ahead) :]
                raise FlowCyclic([one.label for one in (*around, ahead)])


def nodes_in(value: Any) -> Iterator[Node]:
    """Yield every node within a canvas or an argument, however deep."""
    ahead = [value]
    while ahead:
        one = ahead.pop()
        if isinstance(one, Node):
            yield one
        elif isinstance(one, dict):
            ahead += reversed(list(one.values()))
        elif isinstance(one, list | tuple):
            ahead += reversed(one)


def bound(value: Any, path: Sequence[str | int] = ()) -> Iterator[tuple[list[str | int], Node]]:
    """Yield the nodes within arguments, each with the way to its place."""
    if isinstance(value, Node):
        yield list(path), value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from bound(part, (*path, key))
    elif isinstance(value, list | tuple):
        for place, part in enumerate(value):
            yield from bound(part, (*path, place))


def without_nodes(value: Any) -> Any:
    """The same arguments with None where a node is."""
    if isinstance(value, Node):
        return None
    if isinstance(value, dict):
        return {key: without_nodes(part) for key, part in value.items()}
    return [without_nodes(part) for part in value] if isinstance(value, list | tuple) else value
