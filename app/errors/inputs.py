"""Errors about input files; each names the file, and the row where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(eq=False)
class InputUnusable(Exception):
    """A file below INPUT_DIR cannot be read as asked; `path` is the name that the operation gave it."""

    path: str
    sentence: ClassVar[str]

    def __str__(self) -> str:
        """A sentence that names the file, the place in it and, where there is one, the remedy."""
        return self.sentence.format_map(vars(self))


@dataclass(eq=False)
class InputUnreadable(InputUnusable):
    """There is no such file, or it is none that can be opened and read."""

    why: str
    sentence = "There is no readable file {path!r} below INPUT_DIR: {why}."


@dataclass(eq=False)
class InputOutside(InputUnusable):
    """The name leads outside INPUT_DIR, by a link."""

    sentence = "{path!r} leads outside INPUT_DIR: only files that lie below that folder are read."


@dataclass(eq=False)
class InputEmpty(InputUnusable):
    """There is no header line to find the columns by."""

    sentence = "{path!r} is empty: it has no header line that names its columns."


@dataclass(eq=False)
class InputChanged(InputUnusable):
    """The file is not the one that the first step read: its size or its time of change differs."""

    sentence = "{path!r} changed after the operation began to read it: start a new operation on the file as it is now."


@dataclass(eq=False)
class ColumnMissing(InputUnusable):
    """The header does not name a column that is asked for; `columns` are those it names."""

    column: str
    columns: str
    sentence = "{path!r} has no column {column!r}: its header names {columns}."


@dataclass(eq=False)
class ColumnRepeated(InputUnusable):
    """The header names a column that is asked for more than once."""

    column: str
    sentence = "{path!r} has more than one column {column!r}: rename all but one in its header."


@dataclass(eq=False)
class RowUnusable(InputUnusable):
    """A row cannot be read; the header is row 1, and blank rows are numbered too."""

    row: int


@dataclass(eq=False)
class RowTooShort(RowUnusable):
    """A row ends before a column that is asked for."""

    sentence = "Row {row} of {path!r} has too few fields: it ends before a column that is asked for."


@dataclass(eq=False)
class RowTooLong(RowUnusable):
    """A field or a whole row is longer than may be kept in memory."""

    sentence = (
        "Row {row} of {path!r} is too long: a field may have 131,072 characters and a row 4 MiB; "
        "perhaps a quote in it is never closed."
    )


@dataclass(eq=False)
class QuoteUnclosed(RowUnusable):
    """A quote is opened in a row, and the file ends before it is closed."""

    sentence = "Row {row} of {path!r} opens a quote that is never closed."


@dataclass(eq=False)
class EncodingInvalid(RowUnusable):
    """A row is not UTF-8."""

    sentence = "Row {row} of {path!r} is not UTF-8: save the file in that encoding."
