"""Drawing laid-out boxes as SVG: every state by a colour and by a mark, and no outside font, script or style."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr

from app.domain.picture.folding import fold
from app.domain.picture.layout import lay_out
from app.domain.picture.parts import LAYERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from app.domain.picture.layout import Layout
    from app.domain.picture.parts import Box, Drawn

#: Pixels: of a box, between columns and rows, around all, and what a letter takes.
_WIDTH, _HEIGHT, _GAP, _ROW, _EDGE, _LETTER = 196, 44, 52, 60, 24, 8.0
#: Pixels below the boxes for the words for the marks.
_LEGEND: Final = 34

#: Fill, stroke and the lines of the mark within 16 by 16 pixels, by state; the text is dark on every fill (WCAG AA).
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
#: What is said of a picture of which too much would have been drawn.
_FOLDED: Final = ", folded by layers"
_TOO_MANY: Final = "Too many steps and edges to draw each: neighbouring layers are one box."
#: The lines of the marks alone.
MARKS: Final = {state: mark for state, (_, _, mark) in _LOOKS.items()}
_LINE: Final = ' fill="none" stroke="{}" stroke-width="2"'


def draw(title: str, steps: Sequence[Drawn], edges: Iterable[tuple[int, int]]) -> str:
    """The picture of these steps and the edges between their numbers, as an SVG document that stands alone."""
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
    if box.fold:  # the edges of those behind it
        yield f'<rect x="5" y="5" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{fill}" stroke="{stroke}"/>'
    yield f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{fill}" stroke="{stroke}" stroke-width="1.5"/>'
    yield f'<path transform="translate(8 6)" d="{mark}"{_LINE.format(stroke)}/>'
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
    """What the marks mean, of those states alone that are to be seen."""
    x = float(_EDGE)
    for state in _seen(boxes):
        _, stroke, mark = _LOOKS[state]
        yield f'<path transform="translate({x:g} {height - 30:g})" d="{mark}"{_LINE.format(stroke)}/>'
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
    """As much of a text as there is room for."""
    room, text = int(width / letter), _shown(text)
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _shown(text: str) -> str:
    """The text without what XML cannot hold."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
