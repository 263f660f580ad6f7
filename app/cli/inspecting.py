"""The commands of `flask operations` that tell why an operation does not move, and whether it can go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from app import inspecting
from app.cli.people import acting, commands, operation_argument, user_option
from app.cli.printing import hint, say
from app.domain.findings import in_the_way
from app.domain.states import ENDED

if TYPE_CHECKING:
    from app.domain.findings import Finding


@click.command("explain")
@operation_argument
@user_option
def explain(operation_id: int, user_name: str | None) -> None:
    """Tell why operation ID does not move.

    Each cause is a sentence; the one that a person can do most about comes first.
    """
    found = inspecting.explain(commands(), acting(user_name), operation_id)
    say(f"Operation {operation_id} is {found.completion}.")
    for sentence in [cause.sentence for cause in found.causes] or [found.summary]:
        say(f"- {sentence}")


@click.command("preflight")
@operation_argument
@user_option
def preflight(operation_id: int, user_name: str | None) -> None:
    """Tell what a resume of operation ID would find.

    Nothing is changed. The exit status is 1 when something is in the way.
    """
    completion, found = inspecting.preflight(commands(), acting(user_name), operation_id)
    for one in found:
        say(f"- {one.sentence}{_way(one)}")
    if blocking := in_the_way(found):
        raise click.ClickException(f"Operation {operation_id} would not be resumed: {len(blocking)} in the way.")
    if completion in ENDED:
        return hint(f"Operation {operation_id} is {completion}: nothing of it is left to be resumed.")
    return hint(f"Nothing is in the way of operation {operation_id}.")


def _way(one: Finding) -> str:
    """What can be done about it, in a few words."""
    if not one.blocks:
        return " (a warning)"
    return f" (--accept {one.accept} goes on all the same)" if one.accept else ""
