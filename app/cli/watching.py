"""Following an operation until it rests: a live picture on a terminal, a line for each change anywhere else."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click
from rich.console import Group
from rich.live import Live
from rich.text import Text

from app import clock
from app.cli.bars import bar
from app.cli.printing import STYLES, console, duration, hint, moment, plain, say
from app.cli.progress import advice, done, failure, far, lasted, running, standing
from app.domain.states import ENDED, Completion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import RenderableType

    from app.commands import View
    from app.store.operations import Operation

#: Seconds between two looks; and between two lines where there is no terminal, unless the operation moves.
_PERIOD: Final = 0.2
_LINE_EVERY: Final = 2.0
#: An operation that stands here does not go on by itself.
AT_REST: Final = ENDED | {Completion.PAUSED}
#: The exit status of watching for where the operation then stands; a watcher that was interrupted has 130, as usual.
_STATUS: Final = {Completion.COMPLETED: 0, Completion.FAILED: 1, Completion.CANCELLED: 1, Completion.PAUSED: 3}
_INTERRUPTED: Final = 130


def watch(look: Callable[[], View]) -> None:
    """Show what each look sees until the operation rests, then say so and end with the status that tells where.

    Ctrl-C ends the watching alone.
    """
    view = look()
    try:
        view = _watched(view, look)
    except KeyboardInterrupt:
        hint(f"Operation {view.operation.id} goes on: `flask operations watch {view.operation.id}` follows it again.")
        raise click.exceptions.Exit(_INTERRUPTED) from None
    _conclude(view)


def until_rest(look: Callable[[], View], seconds: float) -> View:
    """The first look that sees the operation at rest, or the last one before the seconds are over."""
    deadline = clock.monotonic() + seconds
    while (view := look()).operation.completion not in AT_REST and clock.monotonic() < deadline:
        time.sleep(min(_PERIOD / 4, max(0, deadline - clock.monotonic())))
    return view


def _watched(view: View, look: Callable[[], View]) -> View:
    with _screen() as show:
        show(view)
        while view.operation.completion not in AT_REST:
            time.sleep(_PERIOD)
            view = look()
            show(view)
    return view


@contextmanager
def _screen() -> Iterator[Callable[[View], None]]:
    """What shows a look: a picture that is drawn again in its place, or lines where there is no terminal."""
    output = console()
    if not output.is_interactive:
        yield _Lines().show
        return
    # Without a thread of its own: it is drawn after each look, and looks are frequent enough.
    with Live(console=output, auto_refresh=False) as live:
        yield lambda view: live.update(Group(*_picture(view)), refresh=True)


def _conclude(view: View) -> None:
    operation = view.operation
    say(standing(view))
    if fault := failure(operation):
        hint(f"Step {fault['step']} failed: {fault['type']}: {fault['message']}")
    hint(advice(operation))
    raise click.exceptions.Exit(_STATUS[operation.completion])


class _Lines:
    """A line for each move of the operation, and now and then one for how far it is."""

    def __init__(self) -> None:
        self._told: tuple[Completion, int, list[int | None]] | None = None
        self._next = 0.0

    def show(self, view: View) -> None:
        operation = view.operation
        now = (operation.completion, operation.steps_done, [step.done for step in view.in_flight])
        has_moved = self._told is None or self._told[0] is not operation.completion
        if now != self._told and (has_moved or clock.monotonic() >= self._next):
            self._told, self._next = now, clock.monotonic() + _LINE_EVERY
            say("  ".join(filter(None, [moment(clock.now()), operation.completion, far(operation), running(view)])))


def _picture(view: View) -> Iterator[RenderableType]:
    operation = view.operation
    completion = (operation.completion, STYLES.get(operation.completion, ""))
    time_taken = duration(lasted(operation))
    head = (f"Operation {operation.id}  {plain(operation.workflow)}  ", completion, f"  {time_taken}")
    yield Text.assemble(*head, no_wrap=True, overflow="ellipsis")
    yield _bar(operation)
    yield Text(plain(running(view)), no_wrap=True, overflow="ellipsis")


def _bar(operation: Operation) -> RenderableType:
    style = STYLES.get(operation.completion, "cyan")
    return bar(done(operation), operation.steps_total, far(operation), style)
