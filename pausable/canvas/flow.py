"""A flow: a graph of steps that an author puts together node by node, where a chain or group would say too much."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from celery.canvas import Signature

from pausable.errors import FlowCyclic, FlowMalformed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: What to do with a node instead of using it as the value that it will have.
_GIVE_IT: Final = "give the node itself to a step, as `use.s(node)`, and take the part that you need in that step"
#: Characters of the name of a node at most.
_LONGEST: Final = 200


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

    def __format__(self, spec: str) -> str:
        raise FlowMalformed(self.flow.name, f"{self!r} in a text has no value before it has run: {_GIVE_IT}")

    def __getitem__(self, key: object) -> Any:
        raise FlowMalformed(self.flow.name, f"{self!r}[{key!r}] is asked for before it has run: {_GIVE_IT}")

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
        self._names: set[str] = set()

    def add(self, canvas: Signature[Any], *, upstream: Node | Iterable[Node] = (), name: str | None = None) -> Node:
        """Add a node: a task call such as `load.s(source)`, or a canvas.

        A node among its arguments, also within lists and dicts, is replaced by its value, and waited for; those in
        `upstream` (one, or several) are only waited for. `name` is its step's slug. Raises FlowMalformed.
        """
        before = self._several("upstream", upstream)
        if not isinstance(canvas, Signature):
            raise FlowMalformed(self.name, f"{canvas!r} is no task call: add `task.s(…)`, or a canvas")
        self._check_name(name)
        node = Node(self, canvas, name)
        self.nodes.append(node)
        if name is not None:
            self._names.add(name)
        for one in before:
            self.edge(one, node)
        return node

    def map(self, task: Any, over: Iterable[Any], *, upstream: Node | Iterable[Node] = ()) -> list[Node]:
        """Add a call of the task for each of these nodes or values; returns the new nodes in their order.

        Raises FlowMalformed, also for a single node, of which nobody knows yet over how many values it is.
        """
        given: object = over
        if isinstance(given, Node) or not isinstance(given, Iterable):
            raise FlowMalformed(
                self.name,
                f"map goes over several nodes or values, and was given {over!r}: where a step finds out over how many, "
                "let it return self.replace(group(task.s(one) for one in found))",
            )
        before = self._several("upstream", upstream)
        return [self.add(task.s(one), upstream=before) for one in over]

    def edge(self, upstream: Node, downstream: Node) -> None:
        """Let one node wait for another without being given its value. Raises FlowMalformed."""
        for node in (upstream, downstream):
            if getattr(node, "flow", None) is not self:
                raise FlowMalformed(self.name, f"{node!r} is no node of it: give what `add` of this flow returned")
        downstream.upstream[upstream] = None

    def _several(self, option: str, given: Node | Iterable[Node]) -> list[Node]:
        if isinstance(given, Node):
            return [given]
        nodes: object = given
        if not isinstance(nodes, Iterable) or isinstance(nodes, str | dict):
            raise FlowMalformed(self.name, f"{option}={given!r} is neither a node nor a list of nodes")
        return list(nodes)

    def _check_name(self, name: object) -> None:
        if name is None:
            return
        if not isinstance(name, str) or not _is_name(name):
            raise FlowMalformed(
                self.name,
                f"a node cannot be called {name!r:.80}: give 1 to {_LONGEST} printable characters without '/' and "
                "'\\', and none of ' .' at the ends",
            )
        if name in self._names:
            raise FlowMalformed(self.name, f"two of its nodes are called {name!r}: give each a name of its own")

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
                path.popitem()
                done[node] = None
            elif ahead in path:
                around = list(path)[list(path).index(ahead) :]
                raise FlowCyclic([one.label for one in (*around, ahead)])


def _is_name(name: str) -> bool:
    """Return whether a step can be called so: its name is part of addresses and of paths."""
    is_whole = 0 < len(name) <= _LONGEST and name.isprintable() and name == name.strip(" .")
    return is_whole and not {"/", "\\"} & set(name)


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
