"""A folder of this machine instead of a queue: each message is a file, and `loop` runs each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from pausable.db.files import write_atomically
from pausable.errors import SliceFailed
from pausable.serverless.relay import Message, Publisher

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pausable.documents.model import Document

_MODULE: Final = "pausable.serverless"


class FolderPublisher(Publisher):
    """Puts each message into a folder, under its id: published twice, it is there once."""

    largest = sys.maxsize

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def publish(self, message: Message) -> None:
        """Write the file."""
        write_atomically(self._folder / f"{message.id}.json", message.content)

    def waiting(self) -> list[Path]:
        """The messages that nobody has taken."""
        return sorted(self._folder.glob("*.json"))


def loop(content: bytes, folder: Path, options: Sequence[str]) -> Iterator[Document]:
    """Run a document to its end, each slice in a fresh process; yields what each slice came to.

    The folder is empty at first and holds messages and results. `options` are those of `pausable.serverless`.
    Raises SliceFailed with what a process complained of.
    """
    messages = FolderPublisher(folder / "messages")
    messages.publish(Message("0", content))
    while waiting := messages.waiting():
        yield _came_to(folder, waiting[0], options)
        waiting[0].unlink()


def _came_to(folder: Path, message: Path, options: Sequence[str]) -> Document:
    """What a slice came to in a process of its own; what its steps print is told on standard error."""
    output = folder / "came-to.json"
    command = [sys.executable, "-m", _MODULE, str(folder), str(message), str(output), *options]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    sys.stderr.write(ran.stdout)
    if ran.returncode:
        raise SliceFailed(ran.stderr.strip())
    document: Document = json.loads(output.read_bytes())
    return document
