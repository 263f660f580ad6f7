"""The commands of `flask operations` for documents: edit, undo, export, import and advance."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pausable.db.files import write_atomically
from pausable.documents.check import LARGEST, parsed
from pausable.documents.signing import Keys
from pausable.engine.local import Budget
from pausable.errors import DocumentMalformed
from pausable.model.states import DONE, Completion
from pausable.secrets import redacted_parts
from pausable.serverless.folder import loop
from pausable.service import edit as asked
from pausable.service import transfer
from pausable.service.transfer import INLINE

from .input import acting, commands, operation_argument, user_option
from .output import Column, advice, console, drawing, hint, moment, say, standing, table

if TYPE_CHECKING:
    from pausable.db.history import Edit
    from pausable.documents.model import Document

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
    view, is_new = asked.edit(commands(), acting(user_name), operation_id, _read_patch(patch), reason=reason)
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


def _read_patch(patch: str) -> Any:
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


_PIECE: Final = 2**20

#: Gives a command the argument `file`: a document, or what comes on standard input.
_file_argument = click.argument(
    "file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True)
)
_trust_option = click.option("--trust", is_flag=True, help="Believe a document that no key of this service has signed.")
_lenient_option = click.option("--lenient", is_flag=True, help="Skip what it tells of steps that are not there.")
_output_option = click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the document into this file."
)


@click.command("export")
@operation_argument
@_output_option
@click.option("--to", metavar="TEXT", help="Where it goes on; the history keeps it.")
@click.option("--inline", "inline", metavar="BYTES", type=click.IntRange(0), default=INLINE,
              help="So many bytes of large results go with it; others stay references.")  # fmt: skip
@user_option
def export(operation_id: int, output: Path | None, to: str | None, inline: int, user_name: str | None) -> None:
    """Move operation ID elsewhere.

    Its signed document is written, and it is not resumed here any more.
    """
    content = transfer.export_operation(commands(), acting(user_name), operation_id, to=to, inline=inline)
    _write(content, output)
    hint(f"`flask operations import {output or 'FILE'}` takes it in elsewhere.")


@click.command("import")
@_file_argument
@_trust_option
@_lenient_option
@user_option
def import_(file: Path, trust: bool, lenient: bool, user_name: str | None) -> None:
    """Take in the operation that FILE, a document, tells of.

    It is paused, or has ended, as the document says.
    """
    user = acting(user_name)
    view, is_new = transfer.import_operation(commands(), user, _read_document(file), trust=trust, lenient=lenient)
    say(standing(view) if is_new else f"Nothing changed: {standing(view)}")
    hint(advice(view.operation))


@click.command("advance")
@_file_argument
@click.option("--steps", metavar="N", type=click.IntRange(1), help="Run so many steps at the most.")
@click.option("--seconds", metavar="S", type=click.FloatRange(0, min_open=True), help="Run for so long.")
@_lenient_option
@_trust_option
@_output_option
@click.option("--loop", "is_looped", is_flag=True, help="Go on slice by slice, each in a fresh process, to the end.")
def advance(file: Path, output: Path | None, is_looped: bool, **how: Any) -> None:
    """Run the next steps that FILE, a document, tells of here and now.

    Without a limit they are run to the end. The document of what remains, or of the end, is written.
    """
    (_loop if is_looped else _advance)(file, output, **how)


def _loop(file: Path, output: Path | None, **how: Any) -> None:
    """Run each slice in a process of its own, as cloud functions do; a folder that is gone then holds the messages."""
    options = [f"--{name}" if given is True else f"--{name}={given}" for name, given in how.items() if given]
    has_bar = console().is_interactive
    with tempfile.TemporaryDirectory(prefix="operations-") as folder, drawing("steps") as tell:
        for document in loop(_read_document(file), Path(folder), options):
            tell(*_far(document))
            if not has_bar:
                hint(_told(document))
    _write(commands().engine.keys.sealed(document), output)
    if has_bar:
        hint(_told(document))


def _advance(
    file: Path, output: Path | None, steps: int | None, seconds: float | None, lenient: bool, trust: bool
) -> None:
    keys, content, budget = commands().engine.keys, _read_document(file), Budget(steps, seconds)
    believed = Keys() if trust else keys
    with drawing("steps") as tell:
        document = transfer.advance(content, budget, commands().workflows, believed, lenient=lenient, tell=tell)
    _write(keys.sealed(document), output)
    hint(_told(document))


def _far(document: Document) -> tuple[int, int]:
    """How many steps are done, of how many."""
    steps = document["steps"]
    return sum(step["state"]["type"] in DONE for step in steps), len(steps)


def _told(document: Document) -> str:
    done, total = _far(document)
    result = "" if document["completion"] == Completion.PAUSED else f"; result: {_short(document['result'])}"
    return f"Slice {document['slice']}: {document['completion']}, {done} of {total} steps{result}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]} …"


def _read_document(file: Path) -> bytes:
    """The bytes of a document, and some more than it may have where there are more.

    Piece by piece: to read at most a gigabyte, Python would take a gigabyte of memory first.
    """
    with click.open_file(str(file), "rb") as content:
        pieces = iter(partial(content.read, _PIECE), b"")
        return b"".join(islice(pieces, LARGEST // _PIECE + 1))


def _write(content: bytes, output: Path | None) -> None:
    if output is None:
        say(content.decode())
    else:
        write_atomically(output.absolute(), content)
        hint(f"{output} written")
