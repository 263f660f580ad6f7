"""A figure: what was measured, what it is compared with, and whether it reaches what was asked for."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


T = TypeVar("T")


class Spread(NamedTuple):
    """The median of several values, and the smallest and the largest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """The spread of these values, of which there is at least one."""
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[0], ordered[-1])

    def __str__(self) -> str:
        if self.low == self.high:
            return number(self.median)
        return f"{number(self.median)} ({number(self.low)}..{number(self.high)})"


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure must reach: its ratio if it has one, else itself."""

    sign: Literal["≥", "≤"]
    bound: float

    def is_met(self, value: float) -> bool:
        """Whether a value reaches it."""
        return value >= self.bound if self.sign == "≥" else value <= self.bound


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure; without a target it is told for information."""

    what: str
    unit: str
    ours: Spread
    target: Target | None = None
    beside: str = ""
    theirs: Spread | None = None
    ratio: Spread | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """Whether the target is met, where there is one."""
        if self.target is None:
            return "for information"
        return "met" if self.target.is_met((self.ratio or self.ours).median) else "MISSED"

    def facts(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        spreads = {
            name: spread and spread._asdict()
            for name, spread in (("ours", self.ours), ("theirs", self.theirs), ("ratio", self.ratio))
        }
        target = self.target and asdict(self.target)
        return asdict(self) | spreads | {"target": target, "verdict": self.verdict}


def at_least(bound: float) -> Target:
    """A target that larger values reach."""
    return Target("≥", bound)


def at_most(bound: float) -> Target:
    """A target that smaller values reach."""
    return Target("≤", bound)


def compared(
    what: str, unit: str, values: tuple[Sequence[float], Sequence[float]], beside: str, target: Target | None = None
) -> Figure:
    """A figure of ours beside another's, round by round: its ratio is the median of the ratios of the rounds."""
    ours, theirs = values
    ratio = Spread.of(one / other for one, other in zip(ours, theirs, strict=True))
    return Figure(what, unit, Spread.of(ours), target, beside, Spread.of(theirs), ratio)


def interleaved(rounds: int, *contenders: Callable[[], T]) -> tuple[list[T], ...]:
    """What each contender measures, in turn, round after round: A B A B …, for machines that others use too."""
    values: tuple[list[T], ...] = tuple([] for _ in contenders)
    for _ in range(rounds):
        for measured, contender in zip(values, contenders, strict=True):
            measured.append(contender())
    return values


def percentile(values: Iterable[float], share: float) -> float:
    """The value that this share of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def number(value: float) -> str:
    """A number with three digits that count."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
