"""The picture of an operation as SVG: its steps as boxes in layers, folded where there are many."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pausable.model.states import StepState

#: States in order of interest.
_BY_INTEREST: Final = (
    "Failed", "Running", "Retrying", "Paused", "TriggerFailed", "Cancelled", "Queued", "Pending", "Skipped", "Cached",
    "Success",
)  # fmt: skip

#: Arrangement of the steps of a box that was folded because there are too many: any, in adjacent layers.
LAYERS: Final = "layers"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A step to draw; `seconds` is the duration of its last run so far, None if it has not begun."""

    number: int
    slug: str
    task: str
    state: StepState | None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """One box: a step or several folded ones, and the boxes it waits for."""

    steps: tuple[Drawn, ...]
    upstream: tuple[int, ...] = ()
    #: Arrangement of a folded box's steps: in sequence ("line"), in parallel ("beside"), or `LAYERS`.
    fold: str = field(default="")

    @property
    def label(self) -> str:
        """Return its label."""
        first, many = self.steps[0], len(self.steps)
        if not self.fold:
            return first.slug
        names = list(dict.fromkeys(step.task for step in self.steps))
        name = names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"
        return f"{many} \N{MULTIPLICATION SIGN} {name}"

    @property
    def state(self) -> str:
        """Return its state: of several, the most interesting one."""
        states = {str(step.state or "Pending") for step in self.steps}
        return min(states, key=_BY_INTEREST.index)

    @property
    def seconds(self) -> float | None:
        """Return its duration: the sum of a sequence, the maximum of parallel steps, None for layers."""
        known = [step.seconds for step in self.steps if step.seconds is not None]
        if not known or self.fold == LAYERS:
            return None
        return max(known) if self.fold == "beside" else sum(known)

    @property
    def counts(self) -> str:
        """Return the number of its steps by state, the most interesting first."""
        found = Counter(str(step.state or "Pending") for step in self.steps)
        return ", ".join(f"{found[state]} {state}" for state in sorted(found, key=_BY_INTEREST.index))


#: Passes that improve the order within columns, forwards and backwards.
_SWEEPS: Final = 6
#: Maximum points that all lines pass; beyond it the longest lines get none.
MOST_POINTS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Layout:
    """`place` gives column and row of each box, with rows centred at 0; `ways` the points that a line passes.

    `rows` are the first and the last row in use.
    """

    place: list[tuple[int, float]]
    ways: dict[tuple[int, int], list[tuple[int, float]]]
    rows: tuple[float, float]

    @property
    def columns(self) -> int:
        """Return the number of columns."""
        return 1 + max(column for column, _ in self.place)


@lru_cache(maxsize=16)
def lay_out(upstream: tuple[tuple[int, ...], ...]) -> Layout:
    """Return the layout of boxes in topological order, each with the indexes of those it waits for; at least one.

    The result is cached, since the same graph is drawn many times while its steps change their states.
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
    """Boxes, and the points where lines pass a column, numbered after the boxes."""

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
        """Order each column by the medians of its neighbours in the previous column."""
        columns = self._columns[::-1] if backwards else self._columns
        links = self._right if backwards else self._left
        for before, column in pairwise(columns):
            places = {box: place for place, box in enumerate(before)}
            was = {box: place for place, box in enumerate(column)}
            column.sort(key={box: _middle(links[box], places, was[box]) for box in column}.__getitem__)

    def rows(self) -> dict[int, float]:
        """Return the row of every box and point, with each column centred."""
        return {box: place - (len(column) - 1) / 2 for column in self._columns for place, box in enumerate(column)}


def _longest_with_points(columns: Sequence[int], upstream: Sequence[Sequence[int]]) -> int:
    """Return the maximum length, in columns, of lines that get a point in each column they pass."""
    lengths = Counter(columns[box] - columns[up] for box, ups in enumerate(upstream) for up in ups)
    points = 0
    for length in sorted(lengths):
        points += (length - 1) * lengths[length]
        if points > MOST_POINTS:
            return length - 1
    return max(lengths, default=0)


def _middle(linked: Sequence[int], places: Mapping[int, int], otherwise: float) -> float:
    """Return the median position of a box's neighbours; lines without points skip the previous column."""
    known = [places[one] for one in linked if one in places]
    return median(known) if len(known) > 1 else known[0] if known else otherwise


#: Maximum steps shown individually: in a line, and in parallel.
_LINE, _BESIDE = 12, 12
#: Maximum boxes and lines of a picture; beyond it layers are folded into so many boxes.
MOST_BOXES: Final = 1_000
MOST_LINES: Final = 3_000
_LAYERS: Final = 60
#: Steps shown at the beginning and at the end of a folded line.
_HEAD, _TAIL = 3, 2


def fold(steps: Sequence[Drawn], edges: Iterable[tuple[int, int]]) -> list[Box]:
    """Return the boxes of a picture in topological order; `edges` are pairs of step numbers."""
    boxes = _Boxes(steps, edges)
    boxes.fold_beside()
    boxes.fold_lines()
    found = boxes.ordered()
    is_large = len(found) > MOST_BOXES or sum(len(box.upstream) for box in found) > MOST_LINES
    return _by_layers(found) if is_large else found


def _by_layers(boxes: Sequence[Box]) -> list[Box]:
    """Return the boxes folded by distance from the start: adjacent layers become one box."""
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
    """The steps of one box, with the keys of what they wait for."""

    steps: tuple[Drawn, ...]
    fold: str = ""


class _Boxes:
    """The boxes during folding, keyed by the number of their first step."""

    def __init__(self, steps: Sequence[Drawn], edges: Iterable[tuple[int, int]]) -> None:
        self._parts: dict[int, _Part] = {step.number: _Part((step,)) for step in steps}
        self._above: dict[int, set[int]] = {step.number: set() for step in steps}
        self._below: dict[int, set[int]] = {step.number: set() for step in steps}
        for up, down in edges:
            self._above[down].add(up)
            self._below[up].add(down)

    def fold_beside(self) -> None:
        """Fold parallel lines of the same tasks between the same ends if there are many."""
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
        """Merge adjacent boxes except those already folded."""
        run: list[int] = []
        for key in [*keys, None]:
            if key is not None and not self._parts[key].fold:
                run.append(key)
                continue
            if len(run) > 1:
                self._merge(run, "line")
            run = []

    def ordered(self) -> list[Box]:
        """Return the boxes in topological order; each names its upstream boxes by index."""
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
        """Return the boxes in lines: a line continues while a box has one downstream box that waits for it alone."""
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


#: Pixels: a box, gaps between columns and rows, the margin, and the width of a letter.
_WIDTH, _HEIGHT, _GAP, _ROW, _EDGE, _LETTER = 196, 44, 52, 60, 24, 8.0
#: Pixels below the boxes for the legend.
_LEGEND: Final = 34

#: Fill, stroke and path of the 16x16 mark by state; the dark text is readable on every fill (WCAG AA).
_LOOKS: Final = {
    "Pending": ("#ffffff", "#6b7280", "M3 8h2M7 8h2M11 8h2"),
    "Queued": ("#f3f4f6", "#6b7280", "M3 5h10M3 8h10M3 11h10"),
    "Running": ("#dbeafe", "#1d4ed8", "M5 3l8 5-8 5z"),
    "Retrying": ("#fef3c7", "#b45309", "M13 8a5 5 0 1 1-2-4M11 1v3.5H7.5"),
    "Paused": ("#ede9fe", "#6d28d9", "M5.5 3v10M10.5 3v10"),
    "Success": ("#dcfce7", "#15803d", "M3 8.5l3.5 3.5L13 4.5"),
    "Cached": ("#dcfce7", "#15803d", "M3 4h10v8H3zM3 7h10"),
    "Skipped": ("#f3f4f6", "#4b5563", "M3 3l5 5-5 5M8 3l5 5-5 5"),
    "Failed": ("#fee2e2", "#b91c1c", "M4 4l8 8M12 4l-8 8"),
    "TriggerFailed": ("#ffe4e6", "#be123c", "M8 2l6 11H2zM8 6v3M8 11v.5"),
    "Cancelled": ("#f3f4f6", "#4b5563", "M8 2.5a5.5 5.5 0 1 0 .01 0zM4 4l8 8"),
}
#: Notes on a picture that was simplified.
_FOLDED: Final = ", folded by layers"
_TOO_MANY: Final = "Too many steps and edges to draw each: neighbouring layers are one box."
#: Style of the marks.
MARKS: Final = {state: mark for state, (_, _, mark) in _LOOKS.items()}
_MARK_LINE: Final = ' fill="none" stroke="{}" stroke-width="2"'


def draw(title: str, steps: Sequence[Drawn], edges: Iterable[tuple[int, int]]) -> str:
    """Return these steps and the edges between their numbers as a standalone SVG document."""
    boxes = fold(steps, edges)
    layout = lay_out(tuple(box.upstream for box in boxes))
    first, last = layout.rows
    broad = 2 * _EDGE + layout.columns * _WIDTH + (layout.columns - 1) * _GAP
    height = 2 * _EDGE + (last - first) * _ROW + _HEIGHT + _LEGEND
    width = max(broad, 2 * _EDGE + _legend_width(boxes))
    parts = [*_head(title, boxes, width, height), *_lines(layout), *_boxes(boxes, layout), *_legend(boxes, height)]
    return "\n".join([*parts, "</svg>", ""])


def _head(title: str, boxes: Sequence[Box], width: float, height: float) -> Iterator[str]:
    many = sum(len(box.steps) for box in boxes)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}"'
        f' height="{height:g}" role="img" font-family="ui-sans-serif, system-ui, sans-serif" font-size="13">'
    )
    yield f"<title>{escape(_shown(title))}</title>"
    yield f"<desc>{many} steps{_FOLDED if _is_by_layers(boxes) else ''}</desc>"
    yield f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>'


def _is_by_layers(boxes: Sequence[Box]) -> bool:
    return any(box.fold == LAYERS for box in boxes)


def _boxes(boxes: Sequence[Box], layout: Layout) -> Iterator[str]:
    for box, (column, row) in zip(boxes, layout.place, strict=True):
        x, y = _point(layout, column, row)
        yield from _box(box, x, y)


def _box(box: Box, x: float, y: float) -> Iterator[str]:
    fill, stroke, mark = _LOOKS[box.state]
    seconds = "" if box.seconds is None else _duration(box.seconds)
    told = ": ".join(part for part in (box.label, box.counts if box.fold else box.state, seconds) if part)
    yield f'<g transform="translate({x:g} {y:g})" aria-label={quoteattr(_shown(told))}>'
    yield f"<title>{escape(_shown(told))}</title>"
    if box.fold:  # the edges of the boxes behind it
        yield f'<rect x="5" y="5" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{fill}" stroke="{stroke}"/>'
    yield f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{fill}" stroke="{stroke}" stroke-width="1.5"/>'
    yield f'<path transform="translate(8 6)" d="{mark}"{_MARK_LINE.format(stroke)}/>'
    yield f'<text x="30" y="19" fill="#111827" font-weight="600">{escape(_cut(box.label, _WIDTH - 36))}</text>'
    below = box.counts if box.fold else " · ".join(part for part in (box.state, seconds) if part)
    yield f'<text x="30" y="36" fill="#374151" font-size="11">{escape(_cut(below, _WIDTH - 36, 6.2))}</text>'
    yield "</g>"


def _lines(layout: Layout) -> Iterator[str]:
    for (up, down), way in layout.ways.items():
        (x, y), (to_x, to_y) = (_point(layout, *layout.place[box]) for box in (up, down))
        path = [f"M{x + _WIDTH:g} {y + _HEIGHT / 2:g}"]
        at = x + _WIDTH, y + _HEIGHT / 2
        for column, row in way:
            px, py = _point(layout, column, row)
            path += [_curve(at, (px, py + _HEIGHT / 2)), f"H{px + _WIDTH:g}"]
            at = px + _WIDTH, py + _HEIGHT / 2
        path.append(_curve(at, (to_x - 6, to_y + _HEIGHT / 2)))
        yield f'<path d="{" ".join(path)}" fill="none" stroke="#6b7280" stroke-width="1.3"/>'
        yield f'<path d="M{to_x - 7:g} {to_y + _HEIGHT / 2 - 4:g}l7 4-7 4z" fill="#6b7280"/>'


def _curve(start: tuple[float, float], end: tuple[float, float]) -> str:
    middle = (start[0] + end[0]) / 2
    return f"C{middle:g} {start[1]:g} {middle:g} {end[1]:g} {end[0]:g} {end[1]:g}"


def _point(layout: Layout, column: int, row: float) -> tuple[float, float]:
    return _EDGE + column * (_WIDTH + _GAP), _EDGE + (row - layout.rows[0]) * _ROW


def _legend(boxes: Sequence[Box], height: float) -> Iterator[str]:
    """Yield the legend of the states in the picture."""
    x = float(_EDGE)
    for state in _seen(boxes):
        _, stroke, mark = _LOOKS[state]
        yield f'<path transform="translate({x:g} {height - 30:g})" d="{mark}"{_MARK_LINE.format(stroke)}/>'
        yield f'<text x="{x + 20:g}" y="{height - 18:g}" fill="#374151" font-size="11">{state}</text>'
        x += _entry_width(state)
    if _is_by_layers(boxes):
        yield f'<text x="{_EDGE}" y="16" fill="#374151" font-size="11">{_TOO_MANY}</text>'


def _seen(boxes: Sequence[Box]) -> list[str]:
    found = {str(step.state or "Pending") for box in boxes for step in box.steps}
    return [state for state in _LOOKS if state in found]


def _entry_width(state: str) -> float:
    return 34 + len(state) * 6.4


def _legend_width(boxes: Sequence[Box]) -> float:
    return sum(_entry_width(state) for state in _seen(boxes))


def _cut(text: str, width: float, letter: float = _LETTER) -> str:
    """Return the part of a text that fits."""
    room, text = int(width / letter), _shown(text)
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _shown(text: str) -> str:
    """Return the text without characters that XML cannot contain."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
