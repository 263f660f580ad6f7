"""A flow: a graph of steps that an author builds node by node, for shapes that chains and groups cannot express."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from celery.canvas import Signature

from pausable.errors import FlowCyclic, FlowMalformed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: What to do instead of using a node as if it were its value.
_GIVE_IT: Final = "pass the node itself to a step, as in `use.s(node)`, and pick the part that you need in that step"
#: Maximum length of a node's name, in characters.
_LONGEST: Final = 200


class Node:
    """A node of a flow: a task call or a canvas. As an argument of another node it stands for its value."""

    def __init__(self, flow: Flow, canvas: Signature[Any], name: str | None) -> None:
        self.flow = flow
        self.canvas = canvas
        self.name = name
        self.upstream: dict[Node, None] = {}

    def __repr__(self) -> str:
        return f"<Node {self.label}>"

    def __deepcopy__(self, _memo: object) -> Node:
        return self  # Celery copies arguments of signatures, and a copy must still be this node

    __copy__ = __deepcopy__

    def __format__(self, spec: str) -> str:
        raise FlowMalformed(self.flow.name, f"{self!r} in a text has no value before it has run: {_GIVE_IT}")

    def __getitem__(self, key: object) -> Any:
        raise FlowMalformed(self.flow.name, f"{self!r}[{key!r}] is asked for before it has run: {_GIVE_IT}")

    @property
    def label(self) -> str:
        """Return the node's name for messages."""
        return self.name or str(self.canvas["task"]).rpartition(".")[2]

    def inputs(self) -> list[Node]:
        """Return the nodes whose values its calls are given, each once."""
        return list(dict.fromkeys(nodes_in(self.canvas)))

    def waits_for(self) -> list[Node]:
        """Return the nodes that must end before it may start, each once."""
        return list(dict.fromkeys((*self.inputs(), *self.upstream)))


class Flow:
    """A graph of nodes; each node starts as soon as its upstream nodes have ended."""

    def __init__(self, name: str = "flow") -> None:
        self.name = name
        self.nodes: list[Node] = []
        self._names: set[str] = set()

    def add(self, canvas: Signature[Any], *, upstream: Node | Iterable[Node] = (), name: str | None = None) -> Node:
        """Add a node: a task call such as `load.s(source)`, or a canvas.

        Args:
            canvas: The call. Nodes among its arguments, also inside lists and dicts, are waited for and replaced by
                their values.
            upstream: One or more nodes to wait for without using their values.
            name: The slug of the step; only for a task call.

        Returns:
            The new node.

        Raises:
            FlowMalformed: An argument cannot be used.
        """
        before = self._several("upstream", upstream)
        if not isinstance(canvas, Signature):
            raise FlowMalformed(self.name, f"{canvas!r} is not a task call: add `task.s(…)` or a canvas")
        self._check_name(name)
        node = Node(self, canvas, name)
        self.nodes.append(node)
        if name is not None:
            self._names.add(name)
        for one in before:
            self.edge(one, node)
        return node

    def map(self, task: Any, over: Iterable[Any], *, upstream: Node | Iterable[Node] = ()) -> list[Node]:
        """Add a call of a task for each of several nodes or values.

        Args:
            task: The task.
            over: The nodes or values, each the only argument of one call. A single node is refused: the number of its
                values is not known before it has run.
            upstream: One or more nodes that each call waits for.

        Returns:
            The new nodes, in the order of `over`.

        Raises:
            FlowMalformed: An argument cannot be used.
        """
        given: object = over
        if isinstance(given, Node) or not isinstance(given, Iterable):
            raise FlowMalformed(
                self.name,
                f"map needs several nodes or values and was given {over!r}: if a step finds out how many, "
                "return self.replace(group(task.s(one) for one in found))",
            )
        before = self._several("upstream", upstream)
        return [self.add(task.s(one), upstream=before) for one in over]

    def edge(self, upstream: Node, downstream: Node) -> None:
        """Let one node wait for another without its value. Raise FlowMalformed unless both are of this flow."""
        for node in (upstream, downstream):
            if getattr(node, "flow", None) is not self:
                raise FlowMalformed(self.name, f"{node!r} is not a node of this flow: pass what its `add` returned")
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
                f"the node name {name!r:.80} is not valid: use 1 to {_LONGEST} printable characters without '/' and "
                "'\\', and without ' ' or '.' at either end",
            )
        if name in self._names:
            raise FlowMalformed(self.name, f"two of its nodes are named {name!r}: use unique names")

    def order(self) -> list[Node]:
        """Return the nodes in topological order, ties in the order of addition. Raise FlowCyclic or FlowMalformed."""
        waits = {node: self._known(node) for node in self.nodes}
        done: dict[Node, None] = {}
        for node in self.nodes:
            self._visit(node, waits, done)
        return list(done)

    def _known(self, node: Node) -> list[Node]:
        if unknown := [one for one in node.waits_for() if one.flow is not self]:
            raise FlowMalformed(self.name, f"{node.label} uses {unknown[0].label}, a node of another flow")
        return node.waits_for()

    @staticmethod
    def _visit(start: Node, waits: dict[Node, list[Node]], done: dict[Node, None]) -> None:
        """Append a node after all that it waits for, iteratively: a flow may be ten thousand nodes deep."""
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
    """Return whether a step can have this name, which becomes part of URLs and paths."""
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


def find_bindings(value: Any, path: Sequence[str | int] = ()) -> Iterator[tuple[list[str | int], Node]]:
    """Yield (path, node) for each node within arguments."""
    if isinstance(value, Node):
        yield list(path), value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from find_bindings(part, (*path, key))
    elif isinstance(value, list | tuple):
        for place, part in enumerate(value):
            yield from find_bindings(part, (*path, place))


def without_nodes(value: Any) -> Any:
    """Return the same arguments with None in place of nodes."""
    if isinstance(value, Node):
        return None
    if isinstance(value, dict):
        return {key: without_nodes(part) for key, part in value.items()}
    return [without_nodes(part) for part in value] if isinstance(value, list | tuple) else value
