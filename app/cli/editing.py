"""The commands of `flask operations` that edit what remains of a paused operation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from app import editing as asked
from app.cli.people import acting, commands, operation_argument, user_option
from app.cli.printing import Column, hint, moment, say, table
from app.cli.progress import advice, standing
from app.domain.document_check import parsed
from app.errors import DocumentMalformed
from app.secrets import redacted_parts

if TYPE_CHECKING:
    from app.store.edits import Edit

_EDITS: Final = (
    Column("id", right=True),
    Column("when", keep=3),
    Column("who", keep=4),
    Column("what", cut=True),
    Column("why", keep=5, cut=True),
    Column("taken back", keep=6),
)
_reason = click.option("--reason", metavar="TEXT", help="Why; the history keeps it.")


@click.command("edit")
@operation_argument
@click.argument("patch")
@_reason
@user_option
def edit(operation_id: int, patch: str, reason: str | None, user_name: str | None) -> None:
    """Edit what remains of operation ID by PATCH.

    PATCH is a JSON Merge Patch, such as '{"steps": {"add-2": {"args": [30]}, "mail": null}}', or @FILE that holds one.
    """
    view, is_new = asked.edit(commands(), acting(user_name), operation_id, _read(patch), reason=reason)
    say(f"Edited: {standing(view)}" if is_new else f"Nothing changed: {standing(view)}")
    hint(f"`flask operations undo {operation_id}` takes it back." if is_new else advice(view.operation))


@click.command("undo")
@operation_argument
@_reason
@user_option
def undo(operation_id: int, reason: str | None, user_name: str | None) -> None:
    """Take the newest edit of operation ID back.

    That can be done until a step has started since.
    """
    view = asked.undo(commands(), acting(user_name), operation_id, reason=reason)
    say(f"Taken back: {standing(view)}")
    hint(advice(view.operation))


@click.command("edits")
@operation_argument
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="So many at most.")
@click.option("--after", metavar="EDIT", type=click.IntRange(0), default=0, help="Only those behind this one.")
@user_option
def edits(operation_id: int, limit: int, after: int, user_name: str | None) -> None:
    """List the edits of operation ID.

    Each tells who changed what, from what to what, when and why.
    """
    found = asked.edits(commands(), acting(user_name), operation_id, after=after, limit=limit + 1)
    table(_EDITS, [_row(one) for one in found[:limit]])
    if len(found) > limit:
        hint(f"There are more: --after {found[limit - 1].id}")


def _read(patch: str) -> Any:
    content = Path(patch[1:]).read_bytes() if patch.startswith("@") else patch.encode(errors="surrogateescape")
    try:
        return parsed(content)
    except DocumentMalformed as why:
        raise click.UsageError(f"The patch {why.why}.") from None


def _row(one: Edit) -> tuple[object, ...]:
    places = redacted_parts(json.loads(one.diff))
    what = "; ".join(f"{each['at']}: {json.dumps(each['old'])} → {json.dumps(each['new'])}" for each in places)
    undone = f"{moment(one.undone_at)} by {one.undone_by}" if one.undone_at else ""
    return one.id, moment(one.at), one.who, what, one.why, undone
