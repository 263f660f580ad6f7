"""The commands behind `pausable`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click
from flask.cli import ScriptInfo

from pausable import __version__

from .supervisor.__main__ import main as supervise

if TYPE_CHECKING:
    from flask import Flask


class Commands(click.Group):
    """`run`, and the commands of the web application, which is made when one of them is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        return sorted([*super().list_commands(ctx), *_application().cli.list_commands(ctx)])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, if there is one."""
        return super().get_command(ctx, cmd_name) or _application().cli.get_command(ctx, cmd_name)


def _application() -> Flask:
    os.environ["FLASK_RUN_FROM_CLI"] = "true"  # as `flask` does: it asks for one sentence in place of a traceback
    from .wsgi import app

    return app


@click.group("pausable", cls=Commands)
@click.version_option(__version__, prog_name="pausable")
@click.pass_context
def pausable(context: click.Context) -> None:
    """Run the service of pausable operations, and manage them."""
    context.obj = ScriptInfo(create_app=_application)


@pausable.command("run")
@click.argument("only", required=False, type=click.Choice(["prepare"]))
def run(only: str | None) -> None:
    """Run the service on this machine until Ctrl-C.

    With `prepare`, make the database and the first user, and end.
    """
    sys.exit(supervise([only] if only else [], name="pausable run"))
