"""The plan of a run: which operations are started when, what people ask of each, and what breaks; all from the seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Final

from chaos.shapes import SHAPES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Parts of the time in which operations are started, and in which things break; the rest is for coming to an end.
_STARTING, _BREAKING = 0.6, 0.7
#: Seconds between two faults, in the mean, of a run that is long enough for it.
_BETWEEN: Final = 2.5
#: Faults of the shortest run.
_AT_LEAST: Final = 8

#: All that breaks. A run goes through them in a random order, and again in another until its time is over.
FAULTS: Final = (
    "kill a worker",
    "kill a worker and its pool",
    "kill a pool process",
    "stop a worker and its pool",
    "stop a worker",
    "stop a pool process",
    "stop a writer",
    "end a worker",
    "flush the broker",
    "kill the broker",
    "end the broker",
    "stop the broker",
    "deliver again",
    "kill the web server",
    "end the web server",
    "make the broker read-only",
    "lock the database while a worker starts",
    "fill the disk while a worker starts",
    "kill the database",
    "stop the database",
    "fail the database over",
    "end the sessions of the database",
)
#: Faults of a broker that the run has started itself, of a disk of its own, and of a PostgreSQL server of its own.
OF_BROKER: Final = frozenset(fault for fault in FAULTS if "broker" in fault) | {"deliver again"}
OF_DISK: Final = frozenset({"fill the disk while a worker starts"})
OF_SERVER: Final = frozenset(FAULTS[-4:])


@dataclass(frozen=True)
class Fault:
    """What breaks, when (seconds from the start), for how long (in leases), and `pick`, which chooses the victim."""

    at: float
    kind: str
    leases: float
    pick: float


@dataclass(frozen=True)
class Wish:
    """What a person asks of an operation, so many seconds after the answer to what they asked before."""

    after: float
    verb: str
    query: str = ""
    #: Whether it is asked again where it is refused for as long as the operation is under way.
    insists: bool = False


@dataclass(frozen=True)
class Life:
    """One operation: when it is started, as what, and what is asked of it."""

    key: str
    at: float
    shape: str
    arguments: dict[str, Any]
    wishes: tuple[Wish, ...]


@dataclass(frozen=True)
class Plan:
    """Everything that a run does, in order of time; `seconds` after its start the faults are over."""

    lives: tuple[Life, ...]
    faults: tuple[Fault, ...]
    seconds: float


def make_plan(seed: int, seconds: float, operations: int, kinds: Sequence[str] = FAULTS) -> Plan:
    """The plan of this seed: the same for the same numbers and kinds of faults."""
    rng = Random(seed)
    lives = tuple(_lives(rng, seed, seconds * _STARTING, operations))
    return Plan(lives, tuple(_faults(rng, seconds * _BREAKING, kinds)), seconds * _BREAKING)


def _lives(rng: Random, seed: int, seconds: float, operations: int) -> Iterator[Life]:
    names, weights = list(SHAPES), [shape.weight for shape in SHAPES.values()]
    for number, at in enumerate(sorted(rng.uniform(0, seconds) for _ in range(operations))):
        name = rng.choices(names, weights)[0]
        wishes = _wishes_of(rng, SHAPES[name].asks)
        yield Life(f"chaos-{seed}-{number}", at, name, SHAPES[name].arguments(rng), wishes)


def _wishes_of(rng: Random, asks: str) -> tuple[Wish, ...]:
    """What is asked of an operation of a shape that is asked for the same each time, or by chance."""
    if asks == "retry":
        return (Wish(rng.uniform(0.2, 2), "retry", insists=True),)
    if asks == "resume":
        return (Wish(rng.uniform(0.2, 2), "resume", insists=True),)
    if asks == "pause":
        return Wish(rng.uniform(0, 0.1), "pause"), Wish(rng.uniform(0.5, 3), "resume")
    return _wishes(rng)


def _wishes(rng: Random) -> tuple[Wish, ...]:
    """What is asked of one operation: of three in four nothing."""
    pause = Wish(rng.expovariate(8), "pause", rng.choice(("", "", "?wait=1")))
    resume = Wish(rng.uniform(0.2, 3), "resume")
    cancel = Wish(rng.expovariate(4), "cancel")
    kinds: dict[tuple[Wish, ...], int] = {
        (): 75,
        (pause, resume): 10,
        (pause,): 2,
        (pause, Wish(0, "resume")): 3,
        (pause, Wish(0, "pause"), resume, Wish(0, "resume")): 2,
        (pause, resume, Wish(rng.uniform(0, 0.2), "pause"), resume): 2,
        (pause, cancel): 2,
        (cancel,): 4,
    }
    return rng.choices(list(kinds), list(kinds.values()))[0]


def _faults(rng: Random, seconds: float, kinds: Sequence[str]) -> Iterator[Fault]:
    number = max(_AT_LEAST, round(seconds / _BETWEEN))
    order: list[str] = []
    for turn in range(number):
        order = order or rng.sample(kinds, len(kinds))
        at = seconds * (turn + 1 + rng.uniform(-0.5, 0.5)) / (number + 0.5)
        yield Fault(at, order.pop(), rng.choice((0.2, 0.5, 1.3, 1.6, 2.0)), rng.random())
