"""`flask operations prune`: takes away what ended long ago."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import click

from app import clock
from app.cli.bars import filling
from app.cli.people import commands
from app.cli.printing import hint, moment, say
from app.cli.reading import CompletionType
from app.domain.states import ENDED, Completion
from app.execution.pruning import Pruned, prunable
from app.execution.pruning import prune as take_away
from app.store.pruning import Old

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_AGE: Final = re.compile(r"([0-9]{1,9})([smhdw])")
#: Folders that are named; of more, only the number is told.
_NAMED: Final = 3


class _Age(click.ParamType[float]):
    """A length of time such as 30d, in seconds."""

    name = "age"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds; anything else is a misuse."""
        found = _AGE.fullmatch(value)
        if found is None:
            return self.fail(f"{value!r} is no length of time such as 90s, 45m, 12h, 30d or 8w.", param, ctx)
        return int(found[1]) * float(_SECONDS[found[2]])


@click.command("prune")
@click.option(
    "--older", type=_Age(), metavar="AGE", required=True, help="Ended so long ago, such as 30d (s, m, h, d, w)."
)
@click.option(
    "--exported",
    type=_Age(),
    metavar="AGE",
    default="90d",
    show_default=True,
    help="Of those that were exported, only those last exported so long ago: the export may refer to their results.",
)
@click.option("--completion", "completions", type=CompletionType(), multiple=True, help="Only those that ended so.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be taken away.")
def prune(older: float, exported: float, completions: tuple[Completion, ...], dry_run: bool) -> None:
    """Take away operations that ended long ago.

    With them go their steps, history, logs, documents and large results; and workers that ended as long ago. Nothing of
    it comes back.
    """
    for one in completions:
        if one not in ENDED:
            raise click.UsageError(f"{one} is no end: only COMPLETED, FAILED and CANCELLED operations can be pruned.")
    engine = commands().engine
    now = clock.now()
    old = Old(now - older, frozenset(completions) or ENDED, now - exported)
    found = prunable(engine, old)
    if dry_run:
        say(f"Would take away {_told(found, old)}.")
        return _hint_at_kept(found, old)
    with filling(found.operations.total(), "operations") as tell:
        taken = take_away(engine, old, tell)
    say(f"Took away {_told(taken, old)}.")
    _hint_at_kept(taken, old)
    for folder, why in list(taken.stuck.items())[:_NAMED]:
        hint(f"{folder} could not be removed: {why}.")
    if taken.stuck:
        raise click.ClickException(f"{len(taken.stuck)} folders stayed: the next prune tries again.")
    return None


def _hint_at_kept(pruned: Pruned, old: Old) -> None:
    if pruned.kept:
        reason = f"exported since {moment(old.exported_before)}, or gone on here as another operation"
        hint(f"{_many(pruned.kept, 'operation')} stayed: {reason}, which may refer to their results.")


def _told(pruned: Pruned, old: Old) -> str:
    return f"{', '.join(_parts(pruned))}, all ended before {moment(old.before)}"


def _parts(pruned: Pruned) -> Iterator[str]:
    by_completion = ", ".join(f"{number:,} {one}" for one, number in sorted(pruned.operations.items()))
    yield _many(pruned.operations.total(), "operation") + (f" ({by_completion})" if by_completion else "")
    if pruned.steps:
        yield _many(pruned.steps, "step")
    if pruned.documents:
        yield _many(pruned.documents, "folder") + " of documents"
    yield _many(pruned.workers, "worker")


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
