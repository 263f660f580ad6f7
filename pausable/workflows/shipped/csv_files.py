"""Input files under INPUT_DIR, and reading the records of a CSV file by byte range in bounded memory."""

from __future__ import annotations

import csv
import os
import re
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from itertools import chain
from os import SEEK_CUR
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Final

from celery import current_app
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from pausable.config import read_settings
from pausable.errors import (
    EncodingInvalid,
    InputChanged,
    InputOutside,
    InputUnreadable,
    QuoteUnclosed,
    RowTooLong,
    RowUnusable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from io import BufferedReader

#: Opening a pipe would block, and a device may never end.
_NO_FILE: Final = "it is not a file"


def _beneath(path: str) -> str:
    asked = PurePosixPath(path)
    if asked.is_absolute() or ".." in asked.parts or "\0" in path or not asked.parts:
        raise PydanticCustomError("path_outside", "Name a file below INPUT_DIR, with no leading / and no ..")
    return path


#: A parameter that names a file below INPUT_DIR.
InputPath = Annotated[
    str,
    Field(min_length=1, max_length=1024, description="The file, as a path relative to INPUT_DIR."),
    AfterValidator(_beneath),
]


@dataclass(frozen=True)
class Edition:
    """The version of a file: its size in bytes and its modification time in ns."""

    size: int
    modified: int


def edition(file: BufferedReader) -> Edition:
    """Return the edition of an open file as it is now."""
    found = os.fstat(file.fileno())
    return Edition(found.st_size, found.st_mtime_ns)


def input_dir() -> Path:
    """Return INPUT_DIR: from the Celery app, or from the settings if slices run without the service."""
    told = current_app.conf.get("input_dir")
    return Path(told) if told else read_settings()[0].input_dir.absolute()


@contextmanager
def reading(folder: Path, path: str, expected: Edition | None = None) -> Iterator[BufferedReader]:
    """Open the file at `path` below `folder` for the length of the block.

    Args:
        folder: INPUT_DIR.
        path: The file, relative to it.
        expected: The edition that the file must have.

    Raises:
        InputOutside: A link leads out of the folder.
        InputUnreadable: There is no such file, or it cannot be opened.
        InputChanged: It is not the expected edition, or changed while it was read.
    """
    with _opened(folder, path) as file:
        found = edition(file)
        if expected not in (None, found):
            raise InputChanged(path)
        try:
            yield file
        finally:  # report an error caused by a changing file as the change
            if edition(file) != found:
                raise InputChanged(path)


def _opened(folder: Path, path: str) -> BufferedReader:
    try:
        place = Path(os.path.realpath(folder / path, strict=True))
        if not place.is_relative_to(os.path.realpath(folder)):
            raise InputOutside(path)
        if not place.is_file():
            raise InputUnreadable(path, _NO_FILE)
        return _regular(place, path)
    except (OSError, ValueError) as fault:  # ValueError: a NUL, or a lone surrogate
        raise InputUnreadable(path, getattr(fault, "strerror", None) or str(fault)) from fault


def _regular(place: Path, path: str) -> BufferedReader:
    """Open a regular file; since the check it may have been replaced by a link, a pipe or a device."""
    file = open(os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise InputUnreadable(path, _NO_FILE)
    return file


BLOCK = 256 * 1024
LONGEST_ROW = 4 * 1024 * 1024
#: Maximum length of a field in characters: the default of Python's csv reader.
LONGEST_FIELD = 128 * 1024

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n?|\n")
_PROBE = ("",)
_FAULTS: dict[type[Exception], type[RowUnusable]] = {
    csv.Error: RowTooLong,
    EOFError: QuoteUnclosed,
    UnicodeDecodeError: EncodingInvalid,
}


class Records:
    """The records of a CSV file from byte `offset`, where a record begins; `row` is the number of rows before it.

    Both advance while records are read; after a range, `offset` is again the beginning of a record. The header is row
    1, and blank lines count as rows although they yield no record.
    """

    def __init__(self, file: BufferedReader, path: str, offset: int = 0, row: int = 0) -> None:
        file.seek(offset)
        if not offset:
            file.seek(_byte_order_mark(file))
        self.offset = file.tell()
        self.row = row
        self._file = file
        self._path = path
        self._end = self._handed_out = self.offset
        self._probing = False
        self._reader = csv.reader(chain.from_iterable(self._lines()))

    def header(self) -> list[str]:
        """Return the first record, or `[]` if there is none; raise as `until` does."""
        fields: list[str] = []
        while not fields and self._file.peek(1):  # each iteration reads one record or one blank line
            fields = [field for record in self.until(self.offset + 1) for field in record]
        return fields

    def until(self, end: int) -> Iterator[list[str]]:
        """Yield the records that begin before byte `end`.

        Raises:
            QuoteUnclosed: A quote is still open at the end of the file.
            EncodingInvalid: A row is not UTF-8.
            RowTooLong: A row or a field is longer than the limit.
        """
        self._end = end
        former = csv.field_size_limit(LONGEST_FIELD)  # the limit is global to the process
        try:
            for record in self._reader if self.offset < end else ():
                if record:
                    self.row += 1
                    yield record
                elif not self._probing:
                    self.row += 1
                elif self._note_boundary() >= end:
                    return
        except tuple(_FAULTS) as fault:
            raise _FAULTS[type(fault)](self._path, self.row + 1) from fault
        finally:
            csv.field_size_limit(former)

    def _note_boundary(self) -> int:
        self._probing = False
        self.offset = self._handed_out
        return self.offset

    def _lines(self) -> Iterator[Iterable[str]]:
        """Yield the lines for the csv reader, a block at a time, with a probe after each block.

        The probe is an empty string without a line ending. Between two records the reader yields an empty record for
        it; inside quotes it adds nothing, and the reader asks for further lines until the record ends.
        """
        while True:
            inside_quotes = self._probing
            block = read_lines(self._file, 1 if inside_quotes else min(BLOCK, self._end - self._handed_out))
            if not block:
                raise EOFError
            if self._handed_out - self.offset > LONGEST_ROW + BLOCK:
                raise csv.Error
            self._handed_out += len(block)
            yield decoded(block)
            self._probing = True
            yield _PROBE


def _byte_order_mark(file: BufferedReader) -> int:
    """Return the length of the byte order mark at the beginning of the file."""
    return len(_BOM) if file.peek(len(_BOM)).startswith(_BOM) else 0


def read_lines(file: BufferedReader, size: int) -> bytes:
    """Return the next `size` bytes and the rest of the line; fewer before a line that is too long, or at the end.

    Raises:
        csv.Error: The next line is too long.
    """
    block = file.read(size)
    while (ahead := file.peek(1)) and not _ends_line(block, ahead):
        if len(block) - size > LONGEST_ROW:
            return _before_the_last(file, block)
        end = _LINE_END.search(ahead)
        block += file.read(end.end() if end else len(ahead))
    return block


def line_from(file: BufferedReader, offset: int) -> int:
    """Return the byte at or after `offset` at which a line begins; a record begins there unless it lies inside quotes.

    Raises:
        csv.Error: The line before it is too long.
    """
    if offset == 0:
        return 0
    file.seek(offset - 1)
    return offset - 1 + len(read_lines(file, 1))


def _before_the_last(file: BufferedReader, block: bytes) -> bytes:
    end = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
    if not end:
        raise csv.Error
    file.seek(end - len(block), SEEK_CUR)
    return block[:end]


def _ends_line(block: bytes, ahead: bytes) -> bool:
    return block.endswith(b"\n") or (block.endswith(b"\r") and not ahead.startswith(b"\n"))


def decoded(block: bytes) -> Iterable[str]:
    """Yield the lines of a block as text with their endings; a line that is not UTF-8 raises only when reached."""
    try:
        return StringIO(block.decode(), newline="")
    except UnicodeDecodeError:
        return map(bytes.decode, block.splitlines(keepends=True))
