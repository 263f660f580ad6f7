"""A bar that fills while something long goes on; where there is no terminal nothing is drawn."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from app import clock
from app.cli.printing import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import RenderableType

#: Seconds between two drawings.
_PERIOD: Final = 0.1


def bar(done: int, total: int, words: str, style: str = "cyan") -> RenderableType:
    """A bar as wide as the terminal, and behind it words that tell the same."""
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True)
    grid.add_row(ProgressBar(total=total, completed=done, complete_style=style, finished_style=style), words)
    return grid


@contextmanager
def filling(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """What is told how many of the `total` are done, and draws them; the bar is gone when the block is left."""
    with drawing(what) as tell:
        yield lambda done: tell(done, total)


@contextmanager
def drawing(what: str) -> Iterator[Callable[[int, int], None]]:
    """What is told how many are done, and of how many, where nobody knows that from the beginning."""
    output = console()
    if not output.is_interactive:
        yield lambda _done, _total: None
        return
    drawn_at = -_PERIOD
    with Live(console=output, auto_refresh=False, transient=True) as live:

        def tell(done: int, total: int) -> None:
            nonlocal drawn_at
            if clock.monotonic() - drawn_at >= _PERIOD:
                drawn_at = clock.monotonic()
                live.update(bar(done, total, f"{done:,} of {total:,} {what}"), refresh=True)

        yield tell
