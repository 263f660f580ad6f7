"""The shapes of operations under chaos: random arguments for each, and the result that they must have, worked out here.

What is worked out shares no code with the engine; every function depends on the order of what it is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from random import Random


@dataclass(frozen=True)
class Fails:
    """What a shape expects that cannot succeed: the type of its error."""

    error: str


_BEFORE, _BEHIND = 1, 2  # the numbers of the steps around the one that is special


def mixed(value: int, number: int) -> int:
    """One number made of two."""
    return (value * 31 + number) % 1_000_003


def folded(values: Iterable[int]) -> int:
    """One number made of many."""
    return reduce(mixed, values, 7)


@dataclass(frozen=True)
class Shape:
    """A workflow, how often it is chosen, arguments for it, and its result by the arguments and the operation's id.

    `asks` is what people ask of each operation of it, where that is not left to chance.
    """

    workflow: str
    weight: int
    arguments: Callable[[Random], dict[str, Any]]
    expected: Callable[[dict[str, Any], int], Any]
    asks: str = ""


#: Values that a step may return, and texts that it may fail with, which something in the way could take for its own.
HOSTILE: Final[list[Any]] = [
    "\ud800 half a character",
    "a\x00b",
    {"__type__": "date", "__value__": "never"},
    {"__value__": [], "__type__": "dict"},
    {"__result__": {"store": "/etc", "path": "hostname", "serializer": "json"}},
    [{"__result__": {"value": 1}}, None, "\u2028"],
    "://a:" * 5_000,
    {"": {"\x1b[2J": ["\r\n", "</script>", "%s %d {0} {x}"]}},
    "x" * 200_000,
]
TEXTS: Final[list[str]] = [
    "\udcff of a file name",
    "a\x00b",
    "://a:" * 5_000,
    "\x1b]0;title\x07\r\n",
    "x" * 200_000,
    "{}%s\u202e",
    "",
]


def _numbers(length: int) -> Callable[[Random], dict[str, Any]]:
    return lambda rng: {"start": rng.randrange(1000), "numbers": [rng.randrange(1000) for _ in range(length)]}


def _slow(rng: Random) -> dict[str, Any]:
    return {"start": rng.randrange(1000), "seconds": round(rng.uniform(0.5, 2.0), 2)}


def _chain(given: dict[str, Any], _id: int) -> int:
    start: int = given["start"]
    return reduce(mixed, given["numbers"], start)


def _join(given: dict[str, Any], _id: int) -> int:
    before = mixed(given["start"], _BEFORE)
    return folded(mixed(before, number) for number in given["numbers"])


def _nested(given: dict[str, Any], _id: int) -> int:
    a, b, c, d, e = given["numbers"]
    outer = mixed(given["start"], a)
    inner = mixed(outer, b)
    return folded([folded([mixed(inner, c), mixed(inner, d)]), mixed(outer, e)])


def _around(add: Callable[[dict[str, Any], int], int]) -> Callable[[dict[str, Any], int], int]:
    return lambda given, _id: mixed(add(given, mixed(given["start"], _BEFORE)), _BEHIND)


def _gives_up(_given: dict[str, Any], _id: int) -> Fails:
    return Fails("ArithmeticError")


def _too_slow(_given: dict[str, Any], _id: int) -> Fails:
    return Fails("TimeLimitPassed")


def _naps(rng: Random) -> dict[str, Any]:
    return {"start": rng.randrange(1000), "naps": [round(rng.uniform(0.05, 0.15), 3) for _ in range(5)]}


def _after_naps(given: dict[str, Any], _id: int) -> int:
    start: int = given["start"]
    return start + len(given["naps"])


def _crawl(rng: Random) -> dict[str, Any]:
    return {**_numbers(40)(rng), "seconds": 0.03}


def _crawled(given: dict[str, Any], value: int) -> int:
    return reduce(mixed, given["numbers"], value)


def _unfolded(given: dict[str, Any], value: int) -> int:
    return folded(mixed(value, number) for number in given["numbers"])


def _one_of(many: list[Any]) -> Callable[[Random], dict[str, Any]]:
    return lambda rng: {"start": rng.randrange(1000), "which": rng.randrange(len(many))}


def _mixed_with_which(given: dict[str, Any], value: int) -> int:
    return mixed(value, given["which"])


def _hostile_error(_given: dict[str, Any], _id: int) -> Fails:
    return Fails("HostileError")


def _add_numbers(given: dict[str, Any], operation_id: int) -> dict[str, int]:
    return {"operation_id": operation_id, "total": given["start"] + 9}


SHAPES: Final = {
    "chain of 5": Shape("chaos-chain", 28, _numbers(5), _chain),
    "chain of 50": Shape("chaos-chain", 8, _numbers(50), _chain),
    "join": Shape("chaos-join", 14, _numbers(5), _join),
    "nested": Shape("chaos-nested", 8, _numbers(5), _nested),
    "retry": Shape(
        "chaos-retry",
        6,
        lambda rng: {"start": rng.randrange(1000), "times": rng.randint(1, 3)},
        _around(lambda given, value: value + given["times"]),
    ),
    "naps": Shape("chaos-naps", 8, _naps, _after_naps),
    "slow": Shape("chaos-slow", 5, _slow, _around(lambda _given, value: value + 1)),
    "stubborn": Shape("chaos-stubborn", 4, _crawl, _around(_crawled)),
    "hostile value": Shape("chaos-hostile", 4, _one_of(HOSTILE), _around(_mixed_with_which)),
    "hostile error": Shape("chaos-hostile-error", 2, _one_of(TEXTS), _hostile_error),
    "hostile reason": Shape("chaos-hostile-reason", 2, _one_of(TEXTS), _around(_mixed_with_which)),
    "hostile pause": Shape("chaos-hostile-pause", 2, _one_of(TEXTS), _around(_mixed_with_which), asks="resume"),
    "grown": Shape("chaos-grown", 4, _numbers(8), _around(_unfolded), asks="retry"),
    "broad": Shape("chaos-join", 1, _numbers(500), _join, asks="pause"),
    "wide": Shape("chaos-wide", 3, _numbers(100), _join),
    "cursor": Shape("chaos-cursor", 5, _crawl, _around(_crawled)),
    "replace": Shape("chaos-replace", 4, _numbers(8), _around(_unfolded)),
    "own queue": Shape(
        "chaos-apart",
        6,
        lambda rng: {"start": rng.randrange(1000), "number": rng.randrange(1000)},
        _around(lambda given, value: mixed(value, given["number"])),
    ),
    "failing": Shape("chaos-failing", 5, lambda rng: {"start": rng.randrange(1000)}, _gives_up),
    "failing beside": Shape("chaos-failing-beside", 2, _slow, _gives_up),
    "too slow": Shape("chaos-too-slow", 1, lambda rng: {"start": rng.randrange(1000)}, _too_slow),
    "add-numbers": Shape("add-numbers", 6, lambda rng: {"start": rng.randrange(1000), "delay": 0.01}, _add_numbers),
}
