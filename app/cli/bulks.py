"""The same asked of many operations: `pause`, `resume` and `cancel` without an ID, and `flask bulks`."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import click

from pausable import clock
from pausable.model.bulk import Verb
from pausable.service import bulks as asking
from pausable.service.bulks import Demand

from .input import acting, commands, user_option
from .output import Column, CommandGroup, console, filling, hint, moment, say, table
from .show import CompletionType

if TYPE_CHECKING:
    from collections.abc import Callable

    from pausable.db.bulks import Bulk
    from pausable.db.users import User
    from pausable.model.states import Completion

bulks = CommandGroup("bulks", help="Watch and stop what was asked of many operations.")

#: Seconds between two looks, and at least between two lines.
_PERIOD: Final = 0.2
_LINE_EVERY: Final = 2.0
_INTERRUPTED: Final = 130
_BULKS: Final = (
    Column("id", right=True),
    Column("what"),
    Column("of", keep=5, cut=True),
    Column("state"),
    Column("done", keep=8, right=True),
    Column("refused", keep=7, right=True),
    Column("left", keep=7, right=True),
    Column("a minute", keep=3, right=True),
    Column("asked by", keep=2),
    Column("asked", keep=4),
)
_bulk_argument = click.argument("bulk_id", metavar="ID", type=click.IntRange(1, 2**63 - 1))


@dataclass(frozen=True, slots=True)
class Many:
    """Which operations are meant in the place of one, how many of them a minute, and whether that is followed."""

    workflow: str | None
    completions: tuple[Completion, ...]
    per_minute: int | None
    is_watched: bool
    is_sure: bool = False


def of_one_or_many(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the arguments `operation_id`, and `many`, which is None where one operation is meant."""

    @wraps(command)
    def asked(operation_id: int | None, **given: Any) -> None:
        named = Many(**{one.name: given.pop(one.name) for one in fields(Many) if one.name in given})
        command(operation_id, many=_demanded(operation_id, named), **given)

    rate = click.IntRange(1, 60_000)
    for give in (
        click.option("--watch", "is_watched", is_flag=True, help="Of many: follow them until all were asked."),
        click.option("--per-minute", type=rate, metavar="NUMBER", help="Of many: so many a minute at the most."),
        click.option("--completion", "completions", type=CompletionType(), multiple=True, help="All that stand so."),
        click.option("--workflow", metavar="NAME", help="All of this workflow, in the place of ID."),
        click.argument("operation_id", metavar="[ID]", type=click.IntRange(1, 2**63 - 1), required=False),
    ):
        asked = give(asked)
    return asked


def _demanded(operation_id: int | None, many: Many) -> Many | None:
    is_named = bool(many.workflow or many.completions)
    if operation_id is not None and (is_named or many.per_minute or many.is_watched):
        raise click.UsageError("Name the ID of one operation, or say which are meant; not both.")
    if operation_id is None and not is_named:
        raise click.UsageError("Name the ID of an operation, or say which are meant: --workflow, --completion.")
    return many if operation_id is None else None


def ask_many(
    user_name: str | None, verb: Verb, many: Many, *, reason: str | None = None, resume_at: float | None = None
) -> None:
    """Ask it of many, and tell how far that is."""
    user = acting(user_name)
    demand = Demand(verb, many.workflow, many.completions, reason, many.per_minute, resume_at)
    database, known = commands().engine.database, commands().workflows.names
    if verb is Verb.CANCEL and not many.is_sure:
        _demand_sure(asking.count(database, user, demand, known=known))
    made, _ = asking.ask(database, user, demand, known=known)
    if many.is_watched:
        return _watch(user, made)
    say(_standing(made))
    return hint(f"`flask bulks watch {made.id}` follows it, `flask bulks stop {made.id}` stops it.")


def _demand_sure(total: int) -> None:
    """Ask before so many operations are cancelled for good; where nobody can answer, `--yes` has to be given."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"That cancels {total:,} operations for good: give --yes too.")
    click.confirm(f"Cancel {total:,} operation{'s' * (total != 1)} for good?", abort=True, err=True)


@bulks.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="So many at most.")
@click.option("--after", metavar="ID", type=click.IntRange(1, 2**63 - 1), help="Only those that follow it in the list.")
@user_option
def list_(limit: int, after: int | None, user_name: str | None) -> None:
    """List what was asked of many operations, the newest first."""
    found = asking.list_(commands().engine.database, acting(user_name), before_id=after, limit=limit + 1)
    table(_BULKS, [_row(one) for one in found[:limit]])
    if len(found) > limit:
        hint(f"There are more: --after {found[limit - 1].id}")


@bulks.command("watch")
@_bulk_argument
@user_option
def watch(bulk_id: int, user_name: str | None) -> None:
    """Follow bulk ID until all its operations were asked.

    Ctrl-C ends the watching alone. The exit status is 0 when all have done as asked, 1 when some have not, or it was
    stopped.
    """
    user = acting(user_name)
    _watch(user, asking.show(commands().engine.database, user, bulk_id))


@bulks.command("stop")
@_bulk_argument
@user_option
def stop(bulk_id: int, user_name: str | None) -> None:
    """Stop bulk ID: no more operations are asked.

    What was done stays done.
    """
    stopped, is_new = asking.stop(commands().engine.database, acting(user_name), bulk_id)
    say(_standing(stopped) if is_new else f"Nothing changed: {_standing(stopped)}")


def _watch(user: User, bulk: Bulk) -> None:
    try:
        bulk = _watched(user, bulk)
    except KeyboardInterrupt:
        hint(f"Bulk {bulk.id} goes on: `flask bulks watch {bulk.id}` follows it again.")
        raise click.exceptions.Exit(_INTERRUPTED) from None
    say(_standing(bulk))
    for reason, refusal in _refusals(bulk).items():
        hint(f"{refusal['count']:,} {reason}" + (f": {_named(refusal)}" if refusal["operations"] else ""))
    if bulk.refused or bulk.stopped_by:
        raise click.exceptions.Exit(1)


def _watched(user: User, bulk: Bulk) -> Bulk:
    """The bulk once all were asked; until then a bar on a terminal, and lines where there is none."""
    told, next_line, has_bar = "", 0.0, console().is_interactive
    with filling(bulk.total, "operations asked") as tell:
        while bulk.finished_at is None:
            tell(bulk.total - bulk.left)
            if not has_bar and (line := _standing(bulk)) != told and clock.monotonic() >= next_line:
                told, next_line = line, clock.monotonic() + _LINE_EVERY
                say(line)
            time.sleep(_PERIOD)
            bulk = asking.show(commands().engine.database, user, bulk.id)
    return bulk


def _named(refusal: dict[str, Any]) -> str:
    more = ", …" if refusal["count"] > len(refusal["operations"]) else ""
    return ", ".join(map(str, refusal["operations"])) + more


def _standing(bulk: Bulk) -> str:
    """One sentence: what is asked of which, where that stands, and how far it is."""
    rate = f", {bulk.per_minute:,} a minute" if bulk.per_minute and bulk.finished_at is None else ""
    refused = f", {bulk.refused:,} refused" if bulk.refused else ""
    left = f", {bulk.left:,} left" if bulk.left else ""
    far = f"{bulk.done:,} of {bulk.total:,} done{refused}{left}{rate}"
    return f"Bulk {bulk.id} is {bulk.state}: {bulk.verb} {_of(bulk)}; {far}."


def _of(bulk: Bulk) -> str:
    stood = " or ".join(bulk.completions)
    return f"{bulk.workflow} that stood at {stood}" if bulk.workflow else f"what stood at {stood}"


def _row(bulk: Bulk) -> tuple[object, ...]:
    far = f"{bulk.done:,}", f"{bulk.refused:,}", f"{bulk.left:,}"
    return bulk.id, bulk.verb, _of(bulk), bulk.state, *far, bulk.per_minute, bulk.who, moment(bulk.created_at)


def _refusals(bulk: Bulk) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(bulk.refusals)
    return found
