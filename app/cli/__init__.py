"""The commands for the terminal: `flask operations`, `users`, `workers`, `db`, `backup` and `restore`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.cli import (
    backup,
    bulks,
    database,
    editing,
    inspecting,
    moving,
    notifications,
    pruning,
    reading,
    steering,
    users,
    workers,
)
from app.cli.refusals import CommandGroup, is_in_terminal, told_plainly

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["is_in_terminal", "register_commands", "told_plainly"]

operations = CommandGroup("operations", help="Start, watch, pause and resume operations.")
for command in (
    steering.start,
    reading.list_,
    reading.show,
    reading.watch_,
    inspecting.explain,
    inspecting.preflight,
    steering.pause,
    steering.resume,
    steering.cancel,
    steering.retry,
    steering.rebuild,
    editing.edit,
    editing.undo,
    editing.edits,
    moving.export,
    moving.import_,
    moving.advance,
    reading.steps,
    reading.log,
    reading.events,
    reading.graph,
    reading.workflows,
    pruning.prune,
):
    operations.add_command(command)


def register_commands(flask: Flask) -> None:
    """Put the commands behind the `flask` of this application."""
    groups = (operations, bulks.bulks, notifications.notifications, users.users, workers.workers, database.database)
    for command in (*groups, backup.backup, backup.restore):
        flask.cli.add_command(command)
