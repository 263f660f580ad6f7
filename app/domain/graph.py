"""The graph of an operation: its steps, what each takes in, and where it may pause.

Nothing here knows Celery: a canvas is compiled into this graph by `app.execution.compiler`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from app.errors import ReferenceUnknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

#: What a step is given from its upstreams: nothing, one step's result, or an ordered list of these, at any depth; or
#: `Bindings`: `first`, its first argument, and `at`, pairs of a way into its call and what is put there.
Inputs = int | list["Inputs"] | dict[str, Any] | None

#: Characters that mean something in a URL, or are hard to see in one.
_NOT_IN_SLUGS: Final = frozenset(" /?#%\\")
#: Characters of a task's name that a slug has at the most.
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class PausePoint:
    """A place between steps where a pause is noticed.

    Every step that waits behind the same point carries the same `number`. `clause` and `callback` are JSON-able Celery
    signatures of the author's own; `None` means the service's own (`should_pause`, `save_state`).
    """

    number: int
    clause: dict[str, Any] | None = None
    callback: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One step: a task call at its place in the graph.

    `number` counts from 0 in topological order: every upstream has a smaller number. `signature` is the stored form of
    one task call: `task` and, where there are any, `args`, `kwargs`, `options`, `immutable` and `family`. `inputs` says
    which results become its first argument; `after` names steps that must end before it without handing it anything.
    A step is `beside` the canvas where it was linked to a part of it (`link`): it decides nothing.
    """

    number: int
    slug: str
    signature: dict[str, Any]
    inputs: Inputs = None
    after: tuple[int, ...] = ()
    pause: PausePoint | None = None
    beside: bool = False

    @property
    def task(self) -> str:
        """The registered name of the task."""
        return str(self.signature["task"])

    @property
    def names(self) -> tuple[str, str, str]:
        """All that it may be called by: its slug, its task's name, and the last part of that."""
        return self.slug, self.task, self.task.rpartition(".")[2]

    @property
    def is_given_first(self) -> bool:
        """Whether results of other steps become its first argument."""
        return self.inputs.get("first") is not None if isinstance(self.inputs, dict) else self.inputs is not None

    @property
    def upstream(self) -> list[int]:
        """The numbers of the steps that must end before this one may start, ascending, each once."""
        return sorted({*numbers_in(self.inputs), *self.after})


@dataclass(frozen=True, slots=True)
class Graph:
    """All steps of an operation in topological order, and which of their results is the operation's own."""

    nodes: tuple[Node, ...]
    result: Inputs

    def edges(self) -> list[tuple[int, int]]:
        """Every (upstream, downstream) pair, ordered by downstream."""
        return [(upstream, node.number) for node in self.nodes for upstream in node.upstream]

    def references(self, names: Sequence[str]) -> set[int]:
        """The steps of these slugs or tasks; without names, those that no other step of the canvas waits for.

        Raises ReferenceUnknown for a name that no step has.
        """
        if not names:
            canvas = [node for node in self.nodes if not node.beside]
            return {node.number for node in canvas} - {upstream for node in canvas for upstream in node.upstream}
        found = {name: [node.number for node in self.nodes if name in node.names] for name in names}
        if missing := [name for name, numbers in found.items() if not numbers]:
            raise ReferenceUnknown(missing, [node.slug for node in self.nodes])
        return {number for numbers in found.values() for number in numbers}


def numbers_in(inputs: Inputs) -> Iterator[int]:
    """Yield every step number named in `inputs`, left to right; a step named twice comes twice."""
    if isinstance(inputs, int):
        yield inputs
    elif isinstance(inputs, dict):
        for part in _bound(inputs):
            yield from numbers_in(part)
    elif inputs is not None:
        for part in inputs:
            yield from numbers_in(part)


def _bound(inputs: dict[str, Any]) -> list[Inputs]:
    return [inputs["first"], *(part for _way, part in inputs["at"])]


def put_in_place(inputs: Inputs, of: Callable[[int], Inputs]) -> Inputs:
    """The same inputs with something else in the place of each number."""
    if isinstance(inputs, int):
        return of(inputs)
    if isinstance(inputs, dict):
        placed = [[way, put_in_place(part, of)] for way, part in inputs["at"]]
        return {"first": put_in_place(inputs["first"], of), "at": placed}
    return None if inputs is None else [put_in_place(part, of) for part in inputs]


def named(inputs: Inputs, names: Mapping[int, str]) -> Any:
    """The same inputs with the name of each step in the place of its number."""
    return put_in_place(inputs, lambda number: names[number])  # type: ignore[return-value,arg-type]


def numbered(inputs: Any, numbers: Mapping[str, int]) -> Inputs:
    """The inputs whose steps are named in these: the reverse of `named`."""
    if isinstance(inputs, str):
        return numbers[inputs]
    if isinstance(inputs, dict):
        placed = [[way, numbered(part, numbers)] for way, part in inputs["at"]]
        return {"first": numbered(inputs["first"], numbers), "at": placed}
    return None if inputs is None else [numbered(part, numbers) for part in inputs]


def gather(inputs: Inputs, results: dict[int, Any]) -> Any:
    """Put the results in the shape that `inputs` describes: one value, or nested lists of them.

    Of bindings, the value of `first` and pairs of a way and a value.
    """
    if inputs is None:
        return None
    if isinstance(inputs, int):
        return results[inputs]
    if isinstance(inputs, dict):
        return {
            "first": gather(inputs["first"], results),
            "at": [[way, gather(part, results)] for way, part in inputs["at"]],
        }
    return [gather(part, results) for part in inputs]


def full_signature(signature: Mapping[str, Any]) -> dict[str, Any]:
    """The stored form of a call with every key that Celery expects: what `celery.signature` and bare Celery take."""
    blank: dict[str, Any] = {"args": [], "kwargs": {}, "options": {}, "subtask_type": None, "immutable": False}
    return {**blank, **signature}


def name_in_slugs(task: str) -> str:
    """Return the last part of a task's name as slugs have it: one segment of a URL's path, and never empty."""
    part = task.rpartition(".")[2][:_LONGEST_NAME]
    safe = "".join("-" if letter in _NOT_IN_SLUGS or not letter.isprintable() else letter for letter in part)
    return safe or "step"


def slugs_for(tasks: Sequence[str], given: Mapping[int, str] = MappingProxyType({})) -> list[str]:
    """Name each step by the last part of its task's name; a task used more than once is numbered: `add-1`, `add-2`.

    `given` are the names of those steps that have one of their own, each different, by their places.
    """
    safe = {task: name_in_slugs(task) for task in set(tasks)}
    names = [safe[task] for task in tasks]
    uses = Counter(name for place, name in enumerate(names) if place not in given)
    own = set(given.values())
    taken = {name for name, many in uses.items() if many == 1} | own
    numbers = {name: count(1) for name in uses}

    def slug(place: int, name: str) -> str:
        if place in given:
            return given[place]
        is_free = uses[name] == 1 and name not in own
        return name if is_free else _next_slug(name, numbers[name], taken)

    return [slug(place, name) for place, name in enumerate(names)]


def _next_slug(name: str, numbers: Iterator[int], taken: set[str]) -> str:
    """The next numbered slug of `name` that no step has yet: a task may itself be called `add-1`."""
    slug = next(slug for slug in (f"{name}-{number}" for number in numbers) if slug not in taken)
    taken.add(slug)
    return slug
