"""Following an operation until it rests: a live picture on a terminal, a line for each change anywhere else."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

import click
from rich.console import Group
from rich.live import Live
from rich.text import Text

from pausable import clock
from pausable.db.history import Event
from pausable.model.states import ENDED, Completion
from pausable.service.feed import Feed, follow

from .input import commands
from .output import (
    STYLES,
    advice,
    bar,
    console,
    done,
    duration,
    failed,
    failure,
    far,
    hint,
    lasted,
    moment,
    plain,
    running,
    say,
    standing,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from pausable.db.operations import Operation
    from pausable.db.users import User
    from pausable.service.operations import View

#: Seconds after which it is drawn again; and between two lines where there is no terminal, unless the operation moves.
_BEAT: Final = 1.0
_LINE_EVERY: Final = 2.0
#: An operation that stands here does not go on by itself.
AT_REST: Final = ENDED | {Completion.PAUSED}
#: The exit status of watching for where the operation then stands; a watcher that was interrupted has 130, as usual.
_STATUS: Final = {Completion.COMPLETED: 0, Completion.FAILED: 1, Completion.CANCELLED: 1, Completion.PAUSED: 3}
_INTERRUPTED: Final = 130


def watch(user: User, operation_id: int) -> None:
    """Show what happens to an operation until it rests, then say so and end with the status that tells where.

    Ctrl-C ends the watching alone. Raises OperationNotFound, also where it is taken away meanwhile.
    """
    view = commands().show(user, operation_id)
    try:
        view = _watched(view, user)
    except KeyboardInterrupt:
        hint(f"Operation {operation_id} goes on: `flask operations watch {operation_id}` follows it again.")
        raise click.exceptions.Exit(_INTERRUPTED) from None
    _conclude(view)


def until_rest(user: User, operation_id: int, seconds: float) -> View:
    """The operation once it rests, or as it stands when the seconds are over."""
    deadline = clock.monotonic() + seconds
    with _feed().follow((operation_id,)) as follower:
        while True:
            view, left = commands().show(user, operation_id), deadline - clock.monotonic()
            if view.operation.completion in AT_REST or left <= 0:
                return view
            follower.wait(left)


def _feed() -> Feed:
    return Feed(commands().engine.database)


def _watched(view: View, user: User) -> View:
    """The operation once it rests; each beat draws it again, for what runs has run longer."""
    known, operation_id = commands(), view.operation.id
    with _screen() as screen, closing(follow(known, _feed(), user, operation_id, beat=_BEAT)) as told:
        for one in told:
            if isinstance(one, Event):
                screen.tell(one)
                continue
            view = one or view
            screen.show(view)
            if view.operation.completion in AT_REST:
                return view
    return known.show(user, operation_id)


@contextmanager
def _screen() -> Iterator[_Picture | _Lines]:
    """What shows how it stands: a picture that is drawn again in its place, or lines where there is no terminal."""
    output = console()
    if not output.is_interactive:
        yield _Lines()
        return
    # Without a thread of its own: it is drawn with each change and each beat.
    with Live(console=output, auto_refresh=False) as live:
        yield _Picture(live)


def _conclude(view: View) -> None:
    operation = view.operation
    say(standing(view))
    if fault := failure(operation):
        hint(f"{failed(fault)}: {fault['type']}: {fault['message']}")
    hint(advice(operation))
    raise click.exceptions.Exit(_STATUS[operation.completion])


class _Picture:
    """A picture of the operation, and above it a line for each change that somebody gave a reason for."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def tell(self, event: Event) -> None:
        if event.why:
            self._live.console.print(Text(plain(_change(event))), soft_wrap=True)

    def show(self, view: View) -> None:
        self._live.update(Group(*_drawn(view)), refresh=True)


class _Lines:
    """A line for each move of the operation, and now and then one for how far it is; and for each reason."""

    def __init__(self) -> None:
        self._told: tuple[Completion, int, list[int | None]] | None = None
        self._next = 0.0

    def tell(self, event: Event) -> None:
        if event.why:
            say(_change(event))

    def show(self, view: View) -> None:
        operation = view.operation
        now = (operation.completion, operation.steps_done, [step.done for step in view.in_flight])
        has_moved = self._told is None or self._told[0] is not operation.completion
        if now != self._told and (has_moved or clock.monotonic() >= self._next):
            self._told, self._next = now, clock.monotonic() + _LINE_EVERY
            say("  ".join(filter(None, [moment(clock.now()), operation.completion, far(operation), running(view)])))


def _drawn(view: View) -> Iterator[RenderableType]:
    operation = view.operation
    completion = (operation.completion, STYLES.get(operation.completion, ""))
    time_taken = duration(lasted(operation))
    head = (f"Operation {operation.id}  {plain(operation.workflow)}  ", completion, f"  {time_taken}")
    yield Text.assemble(*head, no_wrap=True, overflow="ellipsis")
    yield _bar(operation)
    yield Text(plain(running(view)), no_wrap=True, overflow="ellipsis")


def _change(event: Event) -> str:
    """A line of the history: who changed what, from where to where, and why."""
    moved = " to ".join(filter(None, [event.old if event.old != event.new else None, event.new]))
    what = f"{event.step}: {moved}" if event.step else moved
    return f"{moment(event.at)}  {event.who}: {what}; {' '.join((event.why or '').split())}"


def _bar(operation: Operation) -> RenderableType:
    style = STYLES.get(operation.completion, "cyan")
    return bar(done(operation), operation.steps_total, far(operation), style)
