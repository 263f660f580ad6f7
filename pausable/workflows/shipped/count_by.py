"""Count the rows of a CSV file by some of its columns, one byte range per step, in sequence or in parallel."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any, Final

from celery import chain, group
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from pausable.engine.cursor import cursor
from pausable.errors import ColumnMissing, ColumnRepeated, InputChanged, InputEmpty, RowTooShort, RowUnusable
from pausable.workflows.registry import workflow
from pausable.workflows.shipped.csv_files import Edition, InputPath, Records, edition, input_dir, line_from, reading
from pausable.workflows.step import step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from io import BufferedReader

    from pausable.workflows.registry import Canvas

if TYPE_CHECKING:
    Key = tuple[str, ...]


#: Bytes to count between two checkpoints of a step: some tenths of a second.
PIECE: Final = 4 * 1024 * 1024
#: Maximum length of a header shown in a message, in characters.
_SHOWN: Final = 1000


def _countable(by: list[str]) -> list[str]:
    if len(set(by)) < len(by):
        raise PydanticCustomError("column_twice", "Name each column once")
    if "count" in by:
        raise PydanticCustomError("column_count", 'A column "count" would hide the counts: rename it in the file')
    return by


Column = Annotated[str, Field(min_length=1, max_length=1000)]
Columns = Annotated[
    list[Column],
    Field(min_length=1, max_length=16, description="The columns to count by, as the file's header names them."),
    AfterValidator(_countable),
]
Chunks = Annotated[int, Field(ge=1, le=10_000, description="How many steps share the file, each a pause point.")]
Parallel = Annotated[
    int,
    Field(ge=1, le=64, description="How many steps count at a time; if more than 1, each counts one part of the file."),
]
Top = Annotated[int | None, Field(ge=1, description="Return only so many of the largest counts.")]


@dataclass
class Tally:
    """The counts of a file so far, and where the next step continues.

    `offset` is the byte at which a record begins, `row` the number of rows before it, and `columns` are the indexes of
    the fields that make up a key of `counts`.
    """

    edition: Edition
    offset: int
    row: int
    columns: list[int]
    counts: Counter[Key]

    @classmethod
    def begin(cls, file: BufferedReader, path: str, by: list[str]) -> Tally:
        """Return an empty tally positioned behind the header."""
        records = Records(file, path)
        header = records.header()
        if not header:
            raise InputEmpty(path)
        columns = [_place(path, header, column) for column in by]
        return cls(edition(file), records.offset, records.row, columns, Counter())

    @classmethod
    def carried(cls, value: Mapping[str, Any]) -> Tally:
        """Return the tally that `carry` serialised."""
        counts = Counter(dict(zip(zip(*value["keys"], strict=True), value["counts"], strict=True)))
        return cls(Edition(*value["edition"]), value["offset"], value["row"], value["columns"], counts)

    def carry(self) -> dict[str, Any]:
        """Return the tally as a JSON-able value, with keys column by column, which is small and fast."""
        return {
            "edition": [self.edition.size, self.edition.modified],
            "offset": self.offset,
            "row": self.row,
            "columns": self.columns,
            "keys": [list(column) for column in zip(*self.counts, strict=True)],
            "counts": list(self.counts.values()),
        }

    def count(self, file: BufferedReader, path: str, until: int) -> None:
        """Count the records that begin before byte `until`."""
        records = Records(file, path, self.offset, self.row)
        try:
            self.counts.update(_keys(records.until(until), self.columns))
        except IndexError as fault:
            raise RowTooShort(path, records.row) from fault
        self.offset, self.row = records.offset, records.row

    def count_on(self, file: BufferedReader, path: str, until: int, keep: Callable[[int], None]) -> None:
        """Count as `count` does, in pieces, and call `keep` after each."""
        while self.offset < until:
            self.count(file, path, min(until, self.offset + PIECE))
            keep(until)

    def add(self, other: Tally, rows: int) -> None:
        """Add the counts of a tally that began where this one ends; `rows` is its number of rows."""
        self.counts.update(other.counts)
        self.offset, self.row = other.offset, self.row + rows


@dataclass
class Part:
    """The counts of one part of a file, from byte `begun`; its rows are numbered from the header."""

    begun: int
    tally: Tally

    @classmethod
    def begin(cls, file: BufferedReader, head: Tally, number: int, parts: int) -> Part:
        """Return an empty part; `head` is a tally positioned behind the header."""
        head.offset = max(head.offset, line_from(file, head.edition.size * (number - 1) // parts))
        return cls(head.offset, head)

    @classmethod
    def carried(cls, value: Mapping[str, Any]) -> Part:
        """Return the part that `carry` serialised."""
        return cls(value["begun"], Tally.carried(value["tally"]))

    def carry(self) -> dict[str, Any]:
        """Return the part as a JSON-able value."""
        return {"begun": self.begun, "tally": self.tally.carry()}

    def keep(self, until: int) -> None:
        """Save a checkpoint of the counts so far."""
        offset = self.tally.offset
        cursor.keep(self.carry(), done=offset - self.begun, total=max(until, offset) - self.begun)


def _place(path: str, header: list[str], column: str) -> int:
    if column not in header:
        names = ", ".join(header)
        raise ColumnMissing(path, column, names if len(names) <= _SHOWN else f"{names[:_SHOWN]} …")
    if header.count(column) > 1:
        raise ColumnRepeated(path, column)
    return header.index(column)


def _keys(records: Iterable[list[str]], columns: list[int]) -> Iterator[Key]:
    picked = map(itemgetter(*columns), records)
    return picked if len(columns) > 1 else zip(picked)  # itemgetter returns tuples only for two or more columns


@step
def count_range(so_far: dict[str, Any] | None, path: str, by: list[str], number: int, chunks: int) -> dict[str, Any]:
    """Count the rows of one byte range on top of the counts so far.

    Args:
        so_far: The tally of the previous step; None for the first.
        path: The file, relative to INPUT_DIR.
        by: The columns to count by.
        number: Which range, from 0.
        chunks: The number of ranges.

    Raises:
        InputUnusable: The file cannot be read or was changed since the first step read it.
    """
    tally = Tally.carried(so_far) if so_far else None
    with reading(input_dir(), path, tally.edition if tally else None) as file:
        tally = tally or Tally.begin(file, path, by)
        tally.count(file, path, tally.edition.size * number // chunks)
    return tally.carry()


@step
def count_part(path: str, by: list[str], number: int, parts: int) -> dict[str, Any] | None:
    """Count the rows of one byte range as if a record began with its first line.

    Whether one does is known only from the parts before it, so a part that cannot be counted is None and no error.

    Args:
        path: The file, relative to INPUT_DIR.
        by: The columns to count by.
        number: Which range, from 0.
        parts: The number of ranges.

    Raises:
        InputUnusable: The file cannot be read, lacks a column, or changes while it is read.
    """
    kept = cursor.place
    expected = Edition(*kept["tally"]["edition"]) if kept else None
    with reading(input_dir(), path, expected) as file:
        begun = Tally.begin(file, path, by) if not kept else None
        try:
            part = Part.begin(file, begun, number, parts) if begun else Part.carried(kept)
            part.tally.count_on(file, path, part.tally.edition.size * number // parts, part.keep)
        except (RowUnusable, csv.Error):
            return None
    return part.carry()


@step
def merge_parts(parts: list[dict[str, Any] | None], path: str, by: list[str]) -> dict[str, Any]:
    """Add up all parts; a part that does not begin where the previous one ends is counted again.

    Args:
        parts: What `count_part` returned, in order.
        path: The file, relative to INPUT_DIR.
        by: The columns to count by.

    Raises:
        InputUnusable: The file cannot be read or was changed since its parts were counted.
    """
    kept = cursor.place
    with reading(input_dir(), path) as file:
        head = Tally.begin(file, path, by)
        whole = Tally.carried(kept) if kept else Tally.begin(file, path, by)
        for number, value in enumerate(parts, 1):
            part = Part.carried(value) if value else None
            if whole.edition != head.edition or (part and part.tally.edition != head.edition):
                raise InputChanged(path)
            until = head.edition.size * number // len(parts)
            if part and part.begun == whole.offset:
                whole.add(part.tally, part.tally.row - head.row)
            whole.count_on(file, path, until, lambda _until: cursor.keep(whole.carry()))
    return whole.carry()


@step
def rank(so_far: dict[str, Any], by: list[str], top: int | None) -> dict[str, Any]:
    """Return the counts, largest first, ties in the order of their keys."""
    counts = Tally.carried(so_far).counts
    ranked = sorted(counts.items(), key=lambda counted: (-counted[1], counted[0]))[:top]
    entries = [{**dict(zip(by, key, strict=True)), "count": number} for key, number in ranked]
    return {"rows": counts.total(), "by": by, "counts": entries}


@workflow("count-by")
def count_by(path: InputPath, by: Columns, chunks: Chunks = 100, top: Top = None, parallel: Parallel = 1) -> Canvas:
    """Count the rows of a CSV file by the columns named."""
    if parallel > 1:
        parts = group(count_part.s(path, by, number, parallel) for number in range(1, parallel + 1))
        return chain(parts, merge_parts.s(path, by), rank.s(by, top))
    first = count_range.s(None, path, by, 1, chunks)
    others = [count_range.s(path, by, number, chunks) for number in range(2, chunks + 1)]
    return chain(first, *others, rank.s(by, top))
