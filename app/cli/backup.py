"""`flask backup` and `flask restore`: database and documents in one file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from flask import current_app

from app.cli.bars import filling
from app.cli.people import commands
from app.cli.printing import hint, moment, say
from app.cli.refusals import SingleCommand
from app.store.archive import DATABASE
from app.store.backup import back_up, size_of
from app.store.backup import restore as put_back

if TYPE_CHECKING:
    from app.config import Settings
    from app.store.archive import Contents


def _settings() -> Settings:
    settings: Settings = current_app.extensions["settings"]
    return settings


@click.command("backup", cls=SingleCommand)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--documents", "only_documents", is_flag=True, help="Only the documents, to go with what pg_dump writes.")
def backup(file: Path, only_documents: bool) -> None:
    """Back the database and the documents up into FILE.

    The service may run meanwhile. FILE must be new.
    """
    settings, database = _settings(), commands().engine.database
    with filling(size_of(settings, database, only_documents=only_documents), "bytes") as tell:
        contents = back_up(settings, database, file, only_documents=only_documents, tell=tell)
    say(f"Wrote {file}: {_told(contents)}.")


@click.command("restore", cls=SingleCommand)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--force", is_flag=True, help="Put it in the place of a database that is there.")
def restore(file: Path, force: bool) -> None:
    """Put the database and the documents in FILE, a backup, back.

    They go where the settings say, and no service may run there. What ran when the backup was made runs again.
    """
    with filling(file.stat().st_size, "bytes") as tell:
        contents = put_back(_settings(), file, force=force, tell=tell)
    say(f"Restored {_told(contents)}, as of {moment(contents.made_at)}.")
    hint("`flask users token NAME` gives a token to who has none: tokens are in no backup.")


def _told(contents: Contents) -> str:
    size = contents.files.get(DATABASE, (0, ""))[0]
    parts = [f"the database ({size / 1e6:,.1f} MB)"] if size else []
    return " and ".join([*parts, f"{len(contents.documents):,} documents"])
