"""Faults become one clear sentence on the terminal; only what nobody foresaw, a bug, shows its traceback."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click
from flask import current_app, has_app_context
from flask.cli import AppGroup, ScriptInfo

from app import errors
from app.cli.printing import plain
from app.config import masked
from app.store.migrations import is_current

if TYPE_CHECKING:
    from collections.abc import Iterator

_OURS: Final = tuple(
    found for found in vars(errors).values() if isinstance(found, type) and issubclass(found, Exception)
)
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
    if isinstance(fault, _OURS):
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
