"""The graph of an operation: steps, edges, pause points, replacements, and which steps a retry runs again."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from pausable.errors import ReferenceUnknown
from pausable.model.identity import MAPS, PAUSE_TASK
from pausable.model.states import BAD, StepState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

#: The inputs of a step: nothing, one step's result, or a nested list of results; or `Bindings`: `first` is its first
#: argument, and `at` are pairs of a path into its call and the inputs placed there.
Inputs = int | list["Inputs"] | dict[str, Any] | None

#: Characters with a meaning in URLs, or hardly visible in one.
_NOT_IN_SLUGS: Final = frozenset(" /?#%\\")
#: Maximum characters of a task's name in a slug.
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class PausePoint:
    """A place between steps where a pause is noticed.

    All steps behind the same point have the same `number`. `clause` and `callback` are signatures of the author's own;
    None means the service's (`should_pause`, `save_state`).
    """

    number: int
    clause: dict[str, Any] | None = None
    callback: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One step: a task call at its place in the graph.

    `number` counts from 0 in topological order, so upstream steps have smaller numbers. `signature` is the stored call:
    `task` and, if present, `args`, `kwargs`, `options`, `immutable` and `family`. `inputs` says which results become
    its first argument; `after` names further steps to wait for. A step is `beside` the canvas if it was linked to a
    part of it (`link`): it does not affect the outcome.
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
        """Return the registered name of the task."""
        return str(self.signature["task"])

    @property
    def names(self) -> tuple[str, str, str]:
        """Return all its names: slug, task name, and the last part of that."""
        return self.slug, self.task, self.task.rpartition(".")[2]

    @property
    def is_given_first(self) -> bool:
        """Return whether results of other steps become its first argument."""
        return self.inputs.get("first") is not None if isinstance(self.inputs, dict) else self.inputs is not None

    @property
    def upstream(self) -> list[int]:
        """Return the sorted numbers of the steps that must end before it may start."""
        return sorted({*numbers_in(self.inputs), *self.after})


@dataclass(frozen=True, slots=True)
class Graph:
    """All steps of an operation in topological order, and which of their results make the operation's result."""

    nodes: tuple[Node, ...]
    result: Inputs

    def edges(self) -> list[tuple[int, int]]:
        """Return every (upstream, downstream) pair, ordered by downstream."""
        return [(upstream, node.number) for node in self.nodes for upstream in node.upstream]

    def references(self, names: Sequence[str]) -> set[int]:
        """Return the steps with these slugs or tasks; without names, those that no other step of the canvas waits for.

        Raise ReferenceUnknown for a name without a step.
        """
        if not names:
            canvas = [node for node in self.nodes if not node.beside]
            return {node.number for node in canvas} - {upstream for node in canvas for upstream in node.upstream}
        found = {name: [node.number for node in self.nodes if name in node.names] for name in names}
        if missing := [name for name, numbers in found.items() if not numbers]:
            raise ReferenceUnknown(missing, [node.slug for node in self.nodes])
        return {number for numbers in found.values() for number in numbers}


def numbers_in(inputs: Inputs) -> Iterator[int]:
    """Yield every step number in `inputs` in order, repeated ones repeatedly."""
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
    """Return the inputs with each number replaced."""
    if isinstance(inputs, int):
        return of(inputs)
    if isinstance(inputs, dict):
        placed = [[way, put_in_place(part, of)] for way, part in inputs["at"]]
        return {"first": put_in_place(inputs["first"], of), "at": placed}
    return None if inputs is None else [put_in_place(part, of) for part in inputs]


def named(inputs: Inputs, names: Mapping[int, str]) -> Any:
    """Return the inputs with names in place of numbers."""
    return put_in_place(inputs, lambda number: names[number])  # type: ignore[return-value,arg-type]


def numbered(inputs: Any, numbers: Mapping[str, int]) -> Inputs:
    """Return the inputs with numbers in place of names: the reverse of `named`."""
    if isinstance(inputs, str):
        return numbers[inputs]
    if isinstance(inputs, dict):
        placed = [[way, numbered(part, numbers)] for way, part in inputs["at"]]
        return {"first": numbered(inputs["first"], numbers), "at": placed}
    return None if inputs is None else [numbered(part, numbers) for part in inputs]


def gather(inputs: Inputs, results: dict[int, Any]) -> Any:
    """Return the results in the shape of `inputs`: one value, or nested lists.

    For bindings, return the value of `first` and pairs of a path and a value.
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
    """Return the stored call with all keys that `celery.signature` expects."""
    blank: dict[str, Any] = {"args": [], "kwargs": {}, "options": {}, "subtask_type": None, "immutable": False}
    return {**blank, **signature}


def name_in_slugs(task: str) -> str:
    """Return the last part of a task's name for use in slugs: one URL path segment, never empty."""
    part = task.rpartition(".")[2][:_LONGEST_NAME]
    safe = "".join("-" if letter in _NOT_IN_SLUGS or not letter.isprintable() else letter for letter in part)
    return safe or "step"


def slugs_for(tasks: Sequence[str], given: Mapping[int, str] = MappingProxyType({})) -> list[str]:
    """Return slugs from the last part of each task's name; repeated tasks are numbered: `add-1`, `add-2`.

    `given` are the distinct names that authors gave to steps, by index.
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
    """Return the next free numbered slug: a task may itself be named `add-1`."""
    slug = next(slug for slug in (f"{name}-{number}" for number in numbers) if slug not in taken)
    taken.add(slug)
    return slug


#: A path into inputs: indexes of lists, and the keys of bindings.
Way = list[int | str]


@dataclass(frozen=True, slots=True)
class Growth:
    """The steps that one step put in its own place, as they are tied to the others.

    Args:
        value: What stands for the replaced step's value: inputs that name the new steps.
        below: The steps that waited for the replaced step, by number.
        places: Where the replaced step is named no more, though its value is handed there: the number of a step, or
            None for the operation's outcome, and the way into its inputs. In the table, steps go on naming it, unless
            the operation was imported or had grown in an earlier version.
        decides: Whether the end of the replaced step decided how the operation ends.
    """

    value: Inputs
    below: tuple[int, ...]
    places: tuple[tuple[int | None, Way], ...]
    decides: bool

    @classmethod
    def from_json(cls, text: str) -> Growth:
        """Return the growth that `as_json` wrote."""
        told = json.loads(text)
        places = tuple((number, way) for number, way in told["places"])
        return cls(told["value"], tuple(told["below"]), places, told["decides"])

    def as_json(self) -> str:
        """Return the growth as JSON."""
        return json.dumps(asdict(self), separators=(",", ":"))

    def named(self, names: Mapping[int, str]) -> dict[str, Any]:
        """Return the growth as a document has it, with the slugs of steps in the place of their numbers."""
        return {
            "value": named(self.value, names),
            "below": [names[number] for number in self.below],
            "places": [[None if number is None else names[number], way] for number, way in self.places],
            "decides": self.decides,
        }

    @classmethod
    def numbered(cls, told: Mapping[str, Any], numbers: Mapping[str, int]) -> Growth:
        """Return the growth that `named` wrote."""
        places = tuple((None if slug is None else numbers[slug], way) for slug, way in told["places"])
        below = tuple(numbers[slug] for slug in told["below"])
        return cls(numbered(told["value"], numbers), below, places, told["decides"])


def ways_to(inputs: Inputs, number: int, way: Sequence[int | str] = ()) -> Iterator[Way]:
    """Yield every way into `inputs` at which this step is named."""
    if isinstance(inputs, int):
        if inputs == number:
            yield list(way)
        return
    parts: Iterable[tuple[tuple[int | str, ...], Inputs]] = ()
    if isinstance(inputs, dict):
        bound = (((("at", place, 1)), part) for place, (_way, part) in enumerate(inputs["at"]))
        parts = ((("first",), inputs["first"]), *bound)
    elif inputs is not None:
        parts = (((place,), part) for place, part in enumerate(inputs))
    for key, part in parts:
        yield from ways_to(part, number, (*way, *key))


def put_at(inputs: Inputs, way: Sequence[int | str], value: Inputs) -> Inputs:
    """Return the inputs with this value at a way into them. Raises LookupError or TypeError if it leads nowhere."""
    if not way:
        return value
    made: Any = json.loads(json.dumps(inputs))
    place = made
    for key in way[:-1]:
        place = place[key]
    place[way[-1]]  # it must be there already: a list has no other place, and an object is to get no new key
    place[way[-1]] = value
    return made  # type: ignore[no-any-return]


def leads_into(inputs: Any, way: Sequence[Any]) -> bool:
    """Whether `put_at` could put something there; the steps in these inputs may be numbers or slugs."""
    for key in way:
        if (isinstance(inputs, dict) and key in ("first", "at")) or (
            isinstance(inputs, list) and isinstance(key, int) and 0 <= key < len(inputs)
        ):
            inputs = inputs[key]
        else:
            return False
    return True


def steps_within(number: int, growth: Growth, edges: Iterable[tuple[int, int]]) -> set[int]:
    """Return the steps that a step put in its own place, and those that these put in theirs.

    They are all that can be reached from it without passing a step that waited for it before it grew.
    """
    below: defaultdict[int, list[int]] = defaultdict(list)
    for upstream, downstream in edges:
        below[upstream].append(downstream)
    found: set[int] = set()
    stops = set(growth.below)
    ahead = list(below[number])
    while ahead:
        one = ahead.pop()
        if one not in found and one not in stops:
            found.add(one)
            ahead += below[one]
    return found


def with_growths(inputs: Inputs, growths: Mapping[int, Growth]) -> tuple[Inputs, list[tuple[int, Way]]]:
    """Return inputs with what replaced steps stand for in the place of these, and where each of them was named.

    Args:
        inputs: The inputs, as they were before any step grew.
        growths: What steps have put in their own places, by number.

    Returns:
        The inputs, and pairs of a replaced step and the way into the inputs at which its value is handed over. Of steps
        that were replaced within others, the outer ones come first.
    """
    places: list[tuple[int, Way]] = []

    def within(part: Inputs, way: tuple[int | str, ...]) -> Inputs:
        if isinstance(part, int):
            if part not in growths:
                return part
            places.append((part, list(way)))
            return within(growths[part].value, way)
        if isinstance(part, dict):
            at = [[to, within(one, (*way, "at", place, 1))] for place, (to, one) in enumerate(part["at"])]
            return {"first": within(part["first"], (*way, "first")), "at": at}
        return None if part is None else [within(one, (*way, place)) for place, one in enumerate(part)]

    return within(inputs, ()), places


def value_of(number: int, growths: Mapping[int, Growth]) -> Inputs:
    """Return what stands for a step's value: the step itself, or what it, and what it grew into, grew into."""
    return put_in_place(growths[number].value, lambda one: value_of(one, growths)) if number in growths else number


def steps_to_rerun(states: Mapping[int, StepState], edges: Sequence[tuple[int, int]]) -> set[int]:
    """What ended badly, and all that lies downstream of it: every other checkpoint is kept.

    `edges` are (upstream, downstream) pairs of the numbers that `states` is keyed by.
    """
    below: defaultdict[int, list[int]] = defaultdict(list)
    for upstream, downstream in edges:
        below[upstream].append(downstream)
    found: set[int] = set()
    ahead = [number for number, state in states.items() if state in BAD]
    while ahead:
        number = ahead.pop()
        if number not in found:
            found.add(number)
            ahead += below[number]
    return found


def counters(
    again: Iterable[int], states: Mapping[int, StepState], edges: Sequence[tuple[int, int]]
) -> dict[int, tuple[int, int]]:
    """For each step that runs again: how many of its upstreams do so too, and how many of the others were skipped."""
    rerun = set(again)
    waiting = Counter(down for up, down in edges if up in rerun)
    spoiled = Counter(down for up, down in edges if up not in rerun and states[up] is StepState.SKIPPED)
    return {number: (waiting[number], spoiled[number]) for number in rerun}


#: Characters of a signature from which on an outline is kept beside it.
LONG: Final = 1000
#: Options that hold calls of other tasks.
_CALLS: Final = ("link", "link_error")
_NO_NAMES: Final = frozenset[str]()
_CALLBACKS: Final = frozenset({"clause", "callback"})
_MAPPED: Final = frozenset({"task"})


def outline_of(signature: str) -> str | None:
    """Return the outline of a stored signature as JSON; None if the signature is short enough to be read instead.

    The outline has the form of a signature. Each argument is null in it, but for the calls of other tasks that some
    arguments and options hold: of these it has the outlines.
    """
    if len(signature) < LONG:
        return None
    return json.dumps(_outline(json.loads(signature)), separators=(",", ":"))


def _outline(call: Mapping[str, Any]) -> dict[str, Any]:
    named = _names_of_calls(str(call.get("task")))
    outline: dict[str, Any] = {"task": call.get("task")}
    for key, value in call.items():
        if key == "args" and isinstance(value, list):
            outline[key] = [None] * len(value)
        elif key == "kwargs" and isinstance(value, dict):
            outline[key] = {name: _called(one) if name in named else None for name, one in value.items()}
        elif key == "options" and isinstance(value, dict):
            outline[key] = {name: _called(one) if name in _CALLS else _short(one) for name, one in value.items()}
        elif isinstance(value, bool):
            outline[key] = value
    return outline


def _names_of_calls(task: str) -> frozenset[str]:
    """Return the names of the arguments by which a task of Celery or of ours is given other calls."""
    if task == PAUSE_TASK:
        return _CALLBACKS
    return _MAPPED if task in MAPS else _NO_NAMES


def _called(value: Any) -> Any:
    if isinstance(value, list):
        return [_called(one) for one in value]
    return _outline(value) if isinstance(value, dict) else None


def _short(value: Any) -> Any:
    """Return an option that says where or when its step runs; None for one that holds more than that."""
    return None if isinstance(value, (list, dict)) or (isinstance(value, str) and len(value) > LONG) else value
