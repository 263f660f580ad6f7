"""The commands for the terminal: `flask operations`, `users`, `workers`, `db`, `backup` and `restore`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import admin, bulks, documents, show
from . import operations as inspecting
from . import operations as steering
from .output import CommandGroup, is_in_terminal, told_plainly

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["is_in_terminal", "register_commands", "told_plainly"]

operations = CommandGroup("operations", help="Start, watch, pause and resume operations.")
for command in (
    steering.start,
    show.list_,
    show.show,
    show.watch_,
    inspecting.explain,
    inspecting.preflight,
    steering.pause,
    steering.resume,
    steering.cancel,
    steering.retry,
    steering.rebuild,
    documents.edit,
    documents.undo,
    documents.edits,
    documents.export,
    documents.import_,
    documents.advance,
    show.steps,
    show.log,
    show.events,
    show.graph,
    show.workflows,
    admin.prune,
):
    operations.add_command(command)


def register_commands(flask: Flask) -> None:
    """Put the commands behind the `flask` of this application."""
    groups = (operations, bulks.bulks, admin.notifications, admin.users, admin.workers, admin.database)
    for command in (*groups, admin.backup, admin.restore):
        flask.cli.add_command(command)
