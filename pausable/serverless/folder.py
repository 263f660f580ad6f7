"""A local folder in place of a queue: each message is a file, and `loop` runs each in a process of its own."""

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
    """Writes each message into a folder under its id, so that publishing it twice leaves one."""

    largest = sys.maxsize

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def publish(self, message: Message) -> None:
        """Write the file."""
        write_atomically(self._folder / f"{message.id}.json", message.content)

    def waiting(self) -> list[Path]:
        """Return the messages that were not taken yet."""
        return sorted(self._folder.glob("*.json"))


def loop(content: bytes, folder: Path, options: Sequence[str]) -> Iterator[Document]:
    """Run a document to its end, each slice in a new process; yield the document after each slice.

    Args:
        content: The document.
        folder: An empty folder, for messages and results.
        options: Command line options of `pausable.serverless`.

    Raises:
        SliceFailed: A process failed; it carries that process's error output.
    """
    messages = FolderPublisher(folder / "messages")
    messages.publish(Message("0", content))
    while waiting := messages.waiting():
        yield _came_to(folder, waiting[0], options)
        waiting[0].unlink()


def _came_to(folder: Path, message: Path, options: Sequence[str]) -> Document:
    """Run a slice in a process of its own and return its document; what its steps print goes to standard error."""
    output = folder / "came-to.json"
    command = [sys.executable, "-m", _MODULE, str(folder), str(message), str(output), *options]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    sys.stderr.write(ran.stdout)
    if ran.returncode:
        raise SliceFailed(ran.stderr.strip())
    document: Document = json.loads(output.read_bytes())
    return document
