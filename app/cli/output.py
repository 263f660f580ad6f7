"""How things are written on a terminal: times, tables, bars, where an operation stands, and errors in one sentence."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click
from flask import current_app, has_app_context
from flask.cli import AppGroup, ScriptInfo
from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pausable import clock, errors
from pausable.config import masked
from pausable.db.migrations import is_current
from pausable.model.states import Completion, StepState
from pausable.model.times import spoken, utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from pausable.db.operations import Operation, OperationSummary
    from pausable.db.steps import Running
    from pausable.service.operations import View

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


#: In flight steps that are named; of more, only the number is told.
_NAMED: Final = 4


def standing(view: View) -> str:
    """One sentence: which operation, where it stands and why, how far it is, and what of it runs."""
    operation = view.operation
    parts = [f"Operation {operation.id} is {operation.completion}", far(operation), running(view)]
    if operation.reason and operation.completion in (Completion.REQUESTING_PAUSE, Completion.PAUSED):
        parts.append(f"reason: {operation.reason.rstrip('.')}")
    if operation.resume_at is not None:
        parts.append(f"goes on at {moment(operation.resume_at)}")
    return "; ".join(filter(None, parts)) + "."


def count(operation: OperationSummary) -> str:
    """How many of its steps have ended, of how many; empty where the rest never will: those count as ended too."""
    if operation.completion in (Completion.CANCELLED, Completion.FAILED):
        return ""
    return f"{done(operation)}/{operation.steps_total}"


def far(operation: Operation) -> str:
    """The same in words and in percent, rounded down: 100 only when all have ended."""
    if not count(operation):
        return ""
    percent = 100 * done(operation) // max(operation.steps_total, 1)
    return f"{done(operation)} of {operation.steps_total} steps, {percent} %"


def done(operation: OperationSummary) -> int:
    """How many of its steps have ended."""
    return operation.steps_done


def running(view: View) -> str:
    """The steps that run and for how long, or why none does."""
    if not view.in_flight and view.operation.completion is Completion.SCHEDULED:
        due = view.operation.due_at
        return "waits for a worker" if due is None else f"starts at {moment(due)}"
    if not view.in_flight:
        return ""
    named = [f"{step.slug} ({', '.join(_at(step))})" for step in view.in_flight[:_NAMED]]
    others = len(view.in_flight) - len(named)
    return f"running: {', '.join(named)}" + (f" and {others} more" if others else "")


def _at(step: Running) -> Iterator[str]:
    yield duration(clock.now() - step.started_at)
    if told := within(step.done, step.total):
        yield told


def within(done: int | None, total: int | None) -> str:
    """How far a step is by its own account; empty where its code tells nothing."""
    if done is None:
        return ""
    return f"{done:,}" if total is None else f"{done:,} of {total:,}"


def holder(step: Running) -> str:
    """Where a step runs, and for how long."""
    where = f" on {step.host}" if step.host else ""
    process = f", process {step.process}" if step.process else ""
    since = duration(clock.now() - step.started_at)
    if not step.is_confirmed:
        return f"{step.slug}{where}{process}, perhaps: its worker has been silent, and lost for {since}"
    told = within(step.done, step.total)
    return f"{step.slug}{where}{process}, for {since}" + (f", {told}" if told else "")


def lasted(operation: OperationSummary) -> float | None:
    """The seconds from its first step to its end, or to now; None while it has not begun or is PAUSED."""
    if operation.started_at is None or operation.completion is Completion.PAUSED:
        return None
    return (operation.finished_at or clock.now()) - operation.started_at


def failure(operation: Operation) -> dict[str, Any]:
    """What made it fail: `step`, `type`, `message`, `traceback`; empty where nothing did."""
    facts: dict[str, Any] = json.loads(operation.error) if operation.error else {}
    return facts


def failed(fault: Mapping[str, Any]) -> str:
    """Return what failed, by the facts of `failure`: a step, or what belongs to the operation itself."""
    return f"Step {fault['step']} failed" if fault.get("step") else "A state handler of the operation failed it"


def advice(operation: Operation) -> str:
    """The command that people mostly want next; none where the operation has simply ended."""
    match operation.completion:
        case Completion.PAUSED:
            return f"`flask operations resume {operation.id}` lets it go on."
        case Completion.COMPLETED:
            return f"`flask operations show {operation.id} --result` prints its result."
        case Completion.FAILED:
            more, again = (f"`flask operations {verb} {operation.id}`" for verb in ("show", "retry"))
            has_more_to_run = bool(failure(operation).get("step"))
            return f"{more} tells more; {again} runs again what failed." if has_more_to_run else f"{more} tells more."
        case Completion.CANCELLED:
            return ""
        case _:
            return f"`flask operations watch {operation.id}` follows it."


_DATABASE_ERRORS: Final = frozenset({"DBAPIError", "DatabaseError"})


class CommandGroup(AppGroup):
    """Commands of which every foreseen fault ends in a sentence on stderr and exit status 1; a misuse ends in 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        with _around(ctx):
            return super().invoke(ctx)


class SingleCommand(click.Command):
    """The same for a command that belongs to no group."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        with _around(ctx):
            return super().invoke(ctx)


@contextmanager
def _around(ctx: click.Context) -> Iterator[None]:
    if not has_app_context():  # the `flask` command gives one, Flask's runner for tests does not
        ctx.with_resource(ctx.ensure_object(ScriptInfo).load_app().app_context())
    with refusals(), _without_logs():
        yield


@contextmanager
def refusals() -> Iterator[None]:
    """Turn a foreseen fault of the block into the exception that click shows as a sentence."""
    try:
        yield
    except (click.ClickException, BrokenPipeError):
        raise
    except Exception as fault:
        sentence = _sentence(fault)
        if sentence is None:
            raise
        raise click.ClickException(plain(masked(sentence))) from fault


@contextmanager
def told_plainly() -> Iterator[None]:
    """Around what `wsgi.py` does: where the `flask` command imports it, a fault is told in a sentence and ends it.

    Any other importer, such as a web server, gets the exception itself.
    """
    try:
        with refusals():
            yield
    except click.ClickException as refused:
        # Flask sets it before it looks for the app, and would show the traceback of whatever is raised here.
        if not is_in_terminal():
            raise refused.__cause__ or refused from None
        refused.show()
        sys.exit(refused.exit_code)


def is_in_terminal() -> bool:
    """Whether the `flask` command is what runs in this process."""
    return os.environ.get("FLASK_RUN_FROM_CLI") == "true"


@contextmanager
def _without_logs() -> Iterator[None]:
    """Keep what is logged off the terminal where nobody has set a log up: the commands tell all themselves."""
    nowhere = logging.NullHandler()
    logging.getLogger().addHandler(nowhere)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(nowhere)


def _sentence(fault: Exception) -> str | None:
    if isinstance(fault, errors.SettingsInvalid):
        return "\n  ".join(["Settings that cannot be used:", *fault.faults.values()])
    if isinstance(fault, errors.WorkflowUnknown) and not fault.near:
        return (
            f"There is no workflow {fault.name!r}: `flask operations workflows` lists those there are. "
            "For your own, the setting WORKFLOWS must say here what it says to the service."
        )
    if isinstance(fault, errors.PausableError):
        return str(fault)
    if isinstance(fault, OSError):
        return ": ".join(str(part) for part in (fault.filename, fault.strerror or fault) if part) + "."
    return _of_the_database(fault)


def _of_the_database(fault: Exception) -> str | None:
    """What a database's refusal means.

    Only the store may import SQLAlchemy and the drivers; all drivers name the root of such errors alike (PEP 249).
    """
    if not _DATABASE_ERRORS & {kind.__name__ for kind in type(fault).__mro__}:
        return None
    told = str(getattr(fault, "orig", fault)).strip().partition("\n")[0]
    try:
        is_behind = not is_current(current_app.extensions["commands"].engine.database)
    except Exception:
        return f"The database cannot be used ({told}): is DATABASE_URL right, and has `flask db upgrade` laid it?"
    return str(errors.DatabaseBehind()) if is_behind else f"The database refused ({told}): try again."
