from __future__ import annotations

import csv
import io
from collections import Counter
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pausable.errors import QuoteUnclosed, RowTooShort, RowUnusable
from pausable.workflows.shipped import csv_files
from pausable.workflows.shipped.count_by import count_by
from tests.amounts import usually
from tests.workflows.conftest import run

if TYPE_CHECKING:
    from pathlib import Path

#: Ends of lines of every kind, of which only LF, CR and CRLF end one in a CSV, and characters of one to four bytes.
AWKWARD = "a,\"\n\r'; \t\x0b\x1c\x85\u2028é😀\ufeff"
random_test = settings(
    deadline=None, max_examples=usually(50, long=200), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
blocks = st.sampled_from([1, 2, 3, 7, 64, 10_000])


@st.composite
def written_tables(draw: st.DrawFn) -> tuple[str, list[str]]:
    """The text of a CSV as csv.writer writes it, and some of its columns."""
    terminator = draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"]))
    minimal = draw(st.booleans())
    # csv.writer quotes no more than it must, which leaves out a line's end that is not its own.
    foreign = set("\r\n") - set(terminator) if minimal else set()
    letters = "".join(letter for letter in AWKWARD if letter not in foreign)
    columns = draw(st.lists(st.text(letters, min_size=1, max_size=4), min_size=1, max_size=4, unique=True))
    fields = st.one_of(st.sampled_from(["", "x", "yy"]), st.text(letters, max_size=12))
    rows = draw(st.lists(st.lists(fields, min_size=len(columns), max_size=len(columns)), max_size=12))
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_MINIMAL if minimal else csv.QUOTE_ALL, lineterminator=terminator).writerows(
        [columns, *rows]
    )
    return text.getvalue(), draw(st.lists(st.sampled_from(columns), min_size=1, unique=True))


def count(place: Path, content: bytes, by: list[str], chunks: int, block: int) -> Counter[tuple[str, ...]]:
    place.write_bytes(content)
    with patch.object(csv_files, "BLOCK", block):
        result = run(count_by.build(1, {"path": place.name, "by": by, "chunks": chunks}))
    counts = Counter({tuple(entry[column] for column in by): entry["count"] for entry in result["counts"]})
    assert result["rows"] == counts.total()
    return counts


def counted_naively(text: str, by: list[str]) -> Counter[tuple[str, ...]]:
    header, *rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    return Counter(tuple(row[header.index(column)] for column in by) for row in rows)


@random_test
@given(table=written_tables(), chunks=st.integers(1, 12), block=blocks, bom=st.booleans(), cut=st.booleans())
def test_whatever_csv_writer_writes_is_counted_as_csv_reader_reads_it(
    input_dir: Path, table: tuple[str, list[str]], chunks: int, block: int, bom: bool, cut: bool
) -> None:
    text, by = table
    if cut:
        text = text.rstrip("\r\n")
    if text.startswith("\ufeff") or "count" in by:
        return

    content = text.encode("utf-8-sig" if bom else "utf-8")

    assert count(input_dir / "t.csv", content, by, chunks, block) == counted_naively(text, by)


def read_naively(text: str) -> tuple[list[tuple[int, list[str]]], int | None]:
    """The numbered rows, and the number of the row in which a quote stays open."""
    lines = list(io.StringIO(text, newline=""))
    rows = list(enumerate(csv.reader([*lines, "the,end"]), 1))
    number, last = rows.pop()
    return rows, None if last == ["the", "end"] else number


@random_test
@example(text='x,"a"b"c\nx,"\n', chunks=2, block=3)
@example(text="\r\n" * 9 + 'x,y\r\r\n"x",y', chunks=7, block=1)
@given(text=st.text('",\n\rxé', max_size=60), chunks=st.integers(1, 12), block=blocks)
def test_whatever_is_found_in_a_file_is_read_as_csv_reader_reads_it_or_refused_by_row(
    input_dir: Path, text: str, chunks: int, block: int
) -> None:
    text = "first,second\n" + text
    rows, unclosed = read_naively(text)
    short = next((number for number, row in rows if len(row) == 1), None)

    def counting() -> Counter[tuple[str, ...]]:
        return count(input_dir / "t.csv", text.encode(), ["second"], chunks, block)

    expected: list[tuple[type[RowUnusable], int | None]] = [(RowTooShort, short), (QuoteUnclosed, unclosed)]
    for error, number in expected:
        if number is not None:
            with pytest.raises(error) as refused:
                counting()
            assert refused.value.row == number
            return
    assert counting() == Counter((row[1],) for _, row in rows[1:] if row)


@pytest.mark.parametrize("block", [1, 2, 3, 4, 5, 6, 7, 8])
def test_a_block_never_ends_within_a_line_or_between_cr_and_lf(tmp_path: Path, block: int) -> None:
    (tmp_path / "t.csv").write_bytes(b"ab\r\ncd\re\xc3\xa9\n\r\n\r\rlast")

    with (tmp_path / "t.csv").open("rb") as file:
        parts = list(iter(lambda: csv_files.read_lines(file, block), b""))

    lines = b"".join(parts).splitlines(keepends=True)
    assert [line for part in parts for line in part.splitlines(keepends=True)] == lines
    assert all(len(part) >= block for part in parts[:-1])


def test_a_range_ends_where_the_record_that_began_in_it_does(tmp_path: Path) -> None:
    content = b'a,b\n1,"two\nlines"\n3,4\n'
    (tmp_path / "t.csv").write_bytes(content)

    with (tmp_path / "t.csv").open("rb") as file:
        records = csv_files.Records(file, "t.csv", offset=4, row=1)
        rows = list(records.until(6))

    assert rows == [["1", "two\nlines"]]
    assert content[records.offset :] == b"3,4\n"
    assert records.row == 2


def test_records_that_span_blocks_again_and_again_are_not_too_long(input_dir: Path) -> None:
    row = '"' + "line\n" * 50 + '",x\n'

    with patch.object(csv_files, "LONGEST_ROW", 1_000):
        counts = count(input_dir / "t.csv", ("a,b\n" + row * 200).encode(), ["b"], 1, 100)

    assert counts == Counter({("x",): 200})
