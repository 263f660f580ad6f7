"""The commands of `flask operations` for documents: export, import and advance."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from app import moving
from app.cli.bars import drawing
from app.cli.people import acting, commands, operation_argument, user_option
from app.cli.printing import console, hint, say
from app.cli.progress import advice, standing
from app.domain.document_check import LARGEST
from app.domain.sealing import Keys
from app.domain.states import DONE, Completion
from app.execution.advancing import Budget
from app.execution.moving import INLINE
from app.serverless.folder import loop
from app.store.files import write_atomically

if TYPE_CHECKING:
    from app.domain.document_check import Document

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
    content = moving.export_operation(commands(), acting(user_name), operation_id, to=to, inline=inline)
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
    view, is_new = moving.import_operation(commands(), user, _read(file), trust=trust, lenient=lenient)
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
        for document in loop(_read(file), Path(folder), options):
            tell(*_far(document))
            if not has_bar:
                hint(_told(document))
    _write(commands().engine.keys.sealed(document), output)
    if has_bar:
        hint(_told(document))


def _advance(
    file: Path, output: Path | None, steps: int | None, seconds: float | None, lenient: bool, trust: bool
) -> None:
    keys, content, budget = commands().engine.keys, _read(file), Budget(steps, seconds)
    believed = Keys() if trust else keys
    with drawing("steps") as tell:
        document = moving.advance(content, budget, commands().workflows, believed, lenient=lenient, tell=tell)
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


def _read(file: Path) -> bytes:
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
