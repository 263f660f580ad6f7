"""Where the boxes of a picture lie: in columns by their longest way from the start, ordered to cross few lines.

The method is that of Sugiyama, Tagawa and Toda (1981): layers, places for lines that pass a layer, and medians.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: How often the order within the columns is improved, from left to right and back.
_SWEEPS: Final = 6
#: Points that all lines of a picture pass together; where they would pass more, the longest lines pass none.
MOST_POINTS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Layout:
    """`place` gives column and row of each box, rows being centred around 0; `ways` the points that a line passes.

    `rows` are the first and the last row that anything lies in.
    """

    place: list[tuple[int, float]]
    ways: dict[tuple[int, int], list[tuple[int, float]]]
    rows: tuple[float, float]

    @property
    def columns(self) -> int:
        """How many columns there are."""
        return 1 + max(column for column, _ in self.place)


@lru_cache(maxsize=16)
def lay_out(upstream: tuple[tuple[int, ...], ...]) -> Layout:
    """Lay out boxes that come in topological order, each with the places of those it waits for; at least one.

    The same graph is laid out once while its steps change their states.
    """
    columns: list[int] = []
    for ups in upstream:
        columns.append(1 + max((columns[up] for up in ups), default=-1))
    grid = _Grid(columns, upstream)
    for sweep in range(_SWEEPS):
        grid.improve(backwards=bool(sweep % 2))
    rows = grid.rows()
    place = [(column, rows[box]) for box, column in enumerate(columns)]
    ways = {edge: [(column, rows[point]) for column, point in points] for edge, points in grid.points.items()}
    return Layout(place, ways, (min(rows.values()), max(rows.values())))


class _Grid:
    """Boxes, and points where lines pass a column, numbered on from the boxes."""

    def __init__(self, columns: list[int], upstream: Sequence[Sequence[int]]) -> None:
        self.points: dict[tuple[int, int], list[tuple[int, int]]] = {}
        self._columns: list[list[int]] = [[] for _ in range(1 + max(columns))]
        self._left: defaultdict[int, list[int]] = defaultdict(list)
        self._right: defaultdict[int, list[int]] = defaultdict(list)
        for box, column in enumerate(columns):
            self._columns[column].append(box)
        following = len(columns)
        longest = _longest_with_points(columns, upstream)
        for box, ups in enumerate(upstream):
            for up in ups:
                passed = range(columns[up] + 1, columns[box]) if columns[box] - columns[up] <= longest else ()
                way = [(column, following + at) for at, column in enumerate(passed)]
                following += len(way)
                self.points[up, box] = way
                self._link([up, *(point for _, point in way), box])
                for column, point in way:
                    self._columns[column].append(point)

    def _link(self, way: list[int]) -> None:
        for left, right in pairwise(way):
            self._right[left].append(right)
            self._left[right].append(left)

    def improve(self, *, backwards: bool) -> None:
        """Order each column by the medians of what its boxes are linked with in the one before."""
        columns = self._columns[::-1] if backwards else self._columns
        links = self._right if backwards else self._left
        for before, column in pairwise(columns):
            places = {box: place for place, box in enumerate(before)}
            was = {box: place for place, box in enumerate(column)}
            column.sort(key={box: _middle(links[box], places, was[box]) for box in column}.__getitem__)

    def rows(self) -> dict[int, float]:
        """The row of every box and point: each column is centred."""
        return {box: place - (len(column) - 1) / 2 for column in self._columns for place, box in enumerate(column)}


def _longest_with_points(columns: Sequence[int], upstream: Sequence[Sequence[int]]) -> int:
    """How many columns a line may lead on at the most to have a point in each that it passes."""
    lengths = Counter(columns[box] - columns[up] for box, ups in enumerate(upstream) for up in ups)
    points = 0
    for length in sorted(lengths):
        points += (length - 1) * lengths[length]
        if points > MOST_POINTS:
            return length - 1
    return max(lengths, default=0)


def _middle(linked: Sequence[int], places: Mapping[int, int], otherwise: float) -> float:
    """The median of where those lie with which a box is linked; lines without points lead past the column before."""
    known = [places[one] for one in linked if one in places]
    return median(known) if len(known) > 1 else known[0] if known else otherwise
