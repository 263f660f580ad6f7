"""What a step that replaced itself put in its own place, and how that is taken back when the step runs again."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from app.domain.graph import named, numbered, put_in_place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from app.domain.graph import Inputs

#: A way into inputs: indexes of lists, and the keys of bindings.
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
