"""How things are written on a terminal: times, tables, and text of which no character can steer the terminal."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.domain.durations import spoken
from app.domain.moments import utc
from app.domain.states import Completion, StepState

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Between two columns of a table.
_GAP: Final = 2
#: A file or a pipe is as wide as any line.
_ENDLESS: Final = 100_000
#: Colour only underlines what the word says already.
STYLES: Final[dict[str, str]] = {
    Completion.IN_PROGRESS: "cyan",
    Completion.REQUESTING_PAUSE: "yellow",
    Completion.PAUSED: "yellow",
    Completion.REQUESTING_CANCEL: "magenta",
    Completion.CANCELLED: "magenta",
    Completion.COMPLETED: "green",
    Completion.FAILED: "red",
    StepState.RUNNING: "cyan",
    StepState.RETRYING: "yellow",
    StepState.SUCCESS: "green",
    StepState.CACHED: "green",
    StepState.SKIPPED: "green",
    StepState.TRIGGER_FAILED: "red",
}


@dataclass(frozen=True)
class Column:
    """A column of a table; the one with the lowest `keep` is the first to go where the terminal is too narrow.

    One that is `cut` may lose the ends of its texts before any other goes.
    """

    title: str
    keep: int = 9
    right: bool = False
    cut: bool = False
    #: To so few characters its texts may be cut.
    least: int = 24


def console() -> Console:
    """Standard output; where it cannot write a character, it writes that character's number."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    output = Console(highlight=False, markup=False, emoji=False)
    if not output.is_terminal:
        output.width = _ENDLESS
    return output


def say(text: str) -> None:
    """Write a line, or several, of text that may hold anything."""
    console()
    click.echo(plain(text))


def hint(text: str) -> None:
    """Write what helps a person and would disturb a program, if it says anything: it goes to standard error."""
    if text:
        click.echo(plain(text), err=True)


def plain(text: object) -> str:
    """The text with each character that is not printable, line breaks aside, written as its escape sequence."""
    return "".join(one if one.isprintable() or one == "\n" else _escaped(one) for one in str(text))


def table(columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under columns, as many columns as fit; states have their colours."""
    output = console()
    cells = [[" ".join(plain("" if cell is None else cell).split("\n")) for cell in row] for row in rows]
    grid = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    shown = _fitting(columns, [_width(column, row) for column, *row in zip(columns, *cells, strict=True)], output.width)
    for place, width in shown.items():
        column = columns[place]
        grid.add_column(
            column.title,
            justify="right" if column.right else "left",
            no_wrap=True,
            overflow="ellipsis",
            max_width=width,
        )
    for row in cells:
        grid.add_row(*(Text(row[place], STYLES.get(row[place], "")) for place in shown))
    output.print(grid)


def moment(seconds: float | None) -> str:
    """A moment, in seconds since the epoch, as a clock on the wall here shows it."""
    return "" if seconds is None else f"{utc(seconds).astimezone():%Y-%m-%d %H:%M:%S}"


def duration(seconds: float | None) -> str:
    """A stretch of time in its two largest units."""
    return "" if seconds is None else spoken(seconds)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _width(column: Column, texts: Sequence[str]) -> int:
    return max(cell_len(text) for text in (column.title, *texts))


def _fitting(columns: Sequence[Column], widths: Sequence[int], width: int) -> dict[int, int]:
    """The places and widths of the columns that stay when those of the lowest `keep` go until the rest fits."""
    needed = {
        place: min(widths[place], column.least) if column.cut else widths[place] for place, column in enumerate(columns)
    }
    while _together(needed) > width and len({columns[place].keep for place in needed}) > 1:
        del needed[min(needed, key=lambda place: columns[place].keep)]
    for place in needed:
        if columns[place].cut:
            needed[place] = min(widths[place], max(width - _together(needed) + needed[place], 1))
    return needed


def _together(widths: dict[int, int]) -> int:
    return sum(widths.values()) + _GAP * (len(widths) - 1)
