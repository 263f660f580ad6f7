"""The commands of `flask operations` that tell why an operation does not move."""

from __future__ import annotations

import click

from app import inspecting
from app.cli.people import acting, commands, operation_argument, user_option
from app.cli.printing import say


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
