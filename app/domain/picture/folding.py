"""Folding what repeats itself, so that a picture of hundreds of steps stays readable.

First the steps between which there is but one way are put into lines; then lines of the same tasks between the same
ends are put beside each other; and what became one line by that is put together again.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from app.domain.picture.parts import LAYERS, Box

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from app.domain.picture.parts import Drawn

#: Steps that are shown one by one: of a line, and beside each other.
_LINE, _BESIDE = 12, 12
#: Boxes and lines of a picture at the most. What has more is folded by its layers, into so many boxes.
MOST_BOXES: Final = 1_000
MOST_LINES: Final = 3_000
_LAYERS: Final = 60
#: Of a line that is folded, so many steps are shown at its beginning and at its end.
_HEAD, _TAIL = 3, 2


def fold(steps: Sequence[Drawn], edges: Iterable[tuple[int, int]]) -> list[Box]:
    """The boxes of a picture of these steps, in topological order; `edges` are pairs of numbers of steps."""
    boxes = _Boxes(steps, edges)
    boxes.fold_beside()
    boxes.fold_lines()
    found = boxes.ordered()
    is_large = len(found) > MOST_BOXES or sum(len(box.upstream) for box in found) > MOST_LINES
    return _by_layers(found) if is_large else found


def _by_layers(boxes: Sequence[Box]) -> list[Box]:
    """The boxes folded by their distance from the start: neighbouring layers become one box, so that few are left."""
    layers: list[int] = []
    for box in boxes:
        layers.append(1 + max((layers[up] for up in box.upstream), default=-1))
    many = 1 + max(layers, default=0)
    places = [layer * _LAYERS // many if many > _LAYERS else layer for layer in layers]
    steps: defaultdict[int, list[Drawn]] = defaultdict(list)
    upstream: defaultdict[int, set[int]] = defaultdict(set)
    for box, place in zip(boxes, places, strict=True):
        steps[place] += box.steps
        upstream[place] |= {places[up] for up in box.upstream} - {place}
    return [Box(tuple(steps[place]), tuple(sorted(upstream[place])), LAYERS) for place in range(len(steps))]


@dataclass(slots=True)
class _Part:
    """Steps that are one box, with the keys of what they wait for."""

    steps: tuple[Drawn, ...]
    fold: str = ""


class _Boxes:
    """The boxes as far as they are folded, each known by the number of its first step."""

    def __init__(self, steps: Sequence[Drawn], edges: Iterable[tuple[int, int]]) -> None:
        self._parts: dict[int, _Part] = {step.number: _Part((step,)) for step in steps}
        self._above: dict[int, set[int]] = {step.number: set() for step in steps}
        self._below: dict[int, set[int]] = {step.number: set() for step in steps}
        for up, down in edges:
            self._above[down].add(up)
            self._below[up].add(down)

    def fold_beside(self) -> None:
        """Fold lines of the same tasks that lie between the same ends, where there are many of them."""
        alike: defaultdict[tuple[object, ...], list[list[int]]] = defaultdict(list)
        for line in self._lines():
            tasks = tuple(self._parts[key].steps[0].task for key in line)
            ends = frozenset(self._above[line[0]]), frozenset(self._below[line[-1]])
            alike[(tasks, *ends)].append(line)
        for lines in alike.values():
            if len(lines) > _BESIDE:
                for place in range(len(lines[0])):
                    self._merge([line[place] for line in lines], "beside")

    def fold_lines(self) -> None:
        """Fold the middle of long lines."""
        for line in self._lines():
            if len(line) > _LINE:
                self._merge_runs(line[_HEAD:-_TAIL])

    def _merge_runs(self, keys: list[int]) -> None:
        """Merge neighbours, but leave boxes alone that are folded already."""
        run: list[int] = []
        for key in [*keys, None]:
            if key is not None and not self._parts[key].fold:
                run.append(key)
                continue
            if len(run) > 1:
                self._merge(run, "line")
            run = []

    def ordered(self) -> list[Box]:
        """The boxes in topological order; each names those above it by their places in the list."""
        order: list[int] = []
        waits = {key: len(above) for key, above in self._above.items()}
        ready = deque(sorted(key for key, many in waits.items() if not many))
        while ready:
            key = ready.popleft()
            order.append(key)
            for below in sorted(self._below[key]):
                waits[below] -= 1
                if not waits[below]:
                    ready.append(below)
        places = {key: place for place, key in enumerate(order)}
        return [
            Box(self._parts[key].steps, tuple(sorted(places[up] for up in self._above[key])), self._parts[key].fold)
            for key in order
        ]

    def _lines(self) -> list[list[int]]:
        """The boxes in lines: as long as one has a single box below it that waits for it alone."""
        lines = []
        for key in self._parts:
            if self._single(self._above, key) is None or self._single(self._below, self._one(self._above[key])) is None:
                line = [key]
                while (below := self._single(self._below, line[-1])) is not None and len(self._above[below]) == 1:
                    line.append(below)
                lines.append(line)
        return lines

    @staticmethod
    def _one(keys: Iterable[int]) -> int:
        return next(iter(keys))

    @staticmethod
    def _single(links: Mapping[int, set[int]], key: int) -> int | None:
        found = links[key]
        return next(iter(found)) if len(found) == 1 else None

    def _merge(self, keys: list[int], fold: str) -> None:
        first, merged = keys[0], set(keys)
        self._parts[first] = _Part(tuple(step for key in keys for step in self._parts[key].steps), fold)
        above = {up for key in keys for up in self._above[key]} - merged
        below = {down for key in keys for down in self._below[key]} - merged
        for up in above:
            self._below[up].difference_update(merged)
            self._below[up].add(first)
        for down in below:
            self._above[down].difference_update(merged)
            self._above[down].add(first)
        self._above[first], self._below[first] = above, below
        for key in keys[1:]:
            del self._parts[key], self._above[key], self._below[key]
