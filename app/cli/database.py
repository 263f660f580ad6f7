"""`flask db`: the schema of the database, and the file that describes it."""

from __future__ import annotations

import click
from flask import current_app

from app.cli.bars import drawing
from app.cli.people import commands
from app.cli.printing import say
from app.cli.refusals import CommandGroup
from app.errors import DatabaseBehind
from app.store.migrations import is_current
from app.store.migrations import upgrade as bring_up_to_date
from migrations.__main__ import SCHEMA, schema_text

database = CommandGroup("db", help="Bring the database to the present schema.")


@database.command("upgrade")
def upgrade() -> None:
    """Bring the database to the present schema.

    Where there is no database, it is laid. Doing so again does no harm.
    """
    with drawing("migrations") as tell:
        bring_up_to_date(current_app.extensions["settings"], tell)
    say("The database has the present schema.")


@database.command("current")
def current() -> None:
    """Tell whether it has the present schema.

    The exit status is 1 where it does not.
    """
    if not is_current(commands().engine.database):
        raise DatabaseBehind
    say("The database has the present schema.")


@database.command("snapshot")
@click.option("--check", is_flag=True, help="Write nothing; exit status 1 where schema.sql is not what it should be.")
def snapshot(check: bool) -> None:
    """Write schema.sql from the migrations.

    The comments in it stay.
    """
    former = SCHEMA.read_text() if SCHEMA.exists() else ""
    present = schema_text(former)
    if check and present != former:
        raise click.ClickException("schema.sql differs from what the migrations give: `flask db snapshot` writes it.")
    if not check:
        SCHEMA.write_text(present)
        say(f"Wrote {SCHEMA}.")
