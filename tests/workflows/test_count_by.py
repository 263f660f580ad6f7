from __future__ import annotations

import csv
import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pausable.errors import ArgumentsInvalid, ColumnMissing, InputChanged, InputUnusable
from pausable.workflows.shipped import count_by as module
from pausable.workflows.shipped import csv_files
from pausable.workflows.shipped.count_by import count_by
from tests.workflows.conftest import run

ROOT = Path(__file__).parents[2]
PEOPLE_BY: dict[str, Any] = {"path": "people.csv", "by": ["company", "gender"]}


def count_naively(place: Path, *by: str) -> Counter[tuple[str, ...]]:
    with place.open(newline="", encoding="utf-8-sig") as file:
        return Counter(tuple(row[column] for column in by) for row in csv.DictReader(file))


def counts_of(result: dict[str, Any]) -> Counter[tuple[str, ...]]:
    return Counter({tuple(entry[column] for column in result["by"]): entry["count"] for entry in result["counts"]})


@pytest.mark.parametrize("chunks", [1, 2, 100, 1_000])
def test_the_counts_are_those_of_an_independent_count_in_any_number_of_chunks(people: Path, chunks: int) -> None:
    result = run(count_by.build(1, PEOPLE_BY | {"chunks": chunks}))

    naive = count_naively(people, "company", "gender")
    assert counts_of(result) == naive
    assert result["rows"] == naive.total()
    assert result["by"] == ["company", "gender"]


def test_it_is_a_chain_of_as_many_steps_as_chunks_and_a_ranking(input_dir: Path) -> None:
    canvas = count_by.build(1, PEOPLE_BY | {"chunks": 3})

    names = [signature["task"].rpartition(".")[2] for signature in canvas["kwargs"]["tasks"]]
    assert names == ["count_range"] * 3 + ["rank"]


def test_the_counts_are_ranked_by_number_and_then_by_key(input_dir: Path) -> None:
    (input_dir / "t.csv").write_text("b,a\n2,x\n1,x\n1,y\n3,z\n1,x\n3,z\n", encoding="utf-8")

    result = run(count_by.build(1, {"path": "t.csv", "by": ["a", "b"], "chunks": 2}))

    assert result == {
        "rows": 6,
        "by": ["a", "b"],
        "counts": [
            {"a": "x", "b": "1", "count": 2},
            {"a": "z", "b": "3", "count": 2},
            {"a": "x", "b": "2", "count": 1},
            {"a": "y", "b": "1", "count": 1},
        ],
    }


def test_the_largest_alone_are_returned_when_asked_for(people: Path) -> None:
    all_of_them = run(count_by.build(1, PEOPLE_BY | {"chunks": 2}))

    largest = run(count_by.build(1, PEOPLE_BY | {"chunks": 2, "top": 3}))

    assert largest == all_of_them | {"counts": all_of_them["counts"][:3]}


def test_a_file_of_a_header_alone_has_no_rows(input_dir: Path) -> None:
    (input_dir / "t.csv").write_text("a,b", encoding="utf-8")

    assert run(count_by.build(1, {"path": "t.csv", "by": ["b"]})) == {"rows": 0, "by": ["b"], "counts": []}


def test_keys_that_would_look_alike_when_joined_are_told_apart(input_dir: Path) -> None:
    (input_dir / "t.csv").write_text('a,b\n"x,",y\nx,",y"\n"x,",y\n', encoding="utf-8")

    result = run(count_by.build(1, {"path": "t.csv", "by": ["a", "b"], "chunks": 3}))

    assert counts_of(result) == Counter({("x,", "y"): 2, ("x", ",y"): 1})


FAULTS: list[tuple[bytes, str]] = [
    (b"", "'t.csv' is empty: it has no header line that names its columns."),
    (b"\xef\xbb\xbf", "'t.csv' is empty: it has no header line that names its columns."),
    (b"\r\n\n\n", "'t.csv' is empty: it has no header line that names its columns."),
    (b"a,c\n1,2\n", "'t.csv' has no column 'b': its header names a, c."),
    (b"a,b,b\n1,2,3\n", "'t.csv' has more than one column 'b': rename all but one in its header."),
    (b"a,b\n1,2\n\n1\n", "Row 4 of 't.csv' has too few fields: it ends before a column that is asked for."),
    (b"a,b\n1,2\n1,\xff\n1\n", "Row 3 of 't.csv' is not UTF-8: save the file in that encoding."),
    (b"\n\n\xff,b\n", "Row 3 of 't.csv' is not UTF-8: save the file in that encoding."),
    (b'a,b\n"1\n2",2\n1,2\n1,"2\n3,4\n', "Row 4 of 't.csv' opens a quote that is never closed."),
    (b'a,"b\n1,2\n', "Row 1 of 't.csv' opens a quote that is never closed."),
]
TOO_LONG = (
    "Row 3 of 't.csv' is too long: a field may have 131,072 characters and a row 4 MiB; "
    "perhaps a quote in it is never closed."
)
FAULTS += [
    (b'a,b\n1,2\n1,"' + b"x\n" * 70_000, TOO_LONG),
    (b"a,b\n1,2\n1," + b"x" * 200_000, TOO_LONG),
]


@pytest.mark.parametrize("chunks", [1, 5])
@pytest.mark.parametrize(("content", "sentence"), FAULTS)
def test_a_file_that_cannot_be_counted_is_told_in_a_sentence(
    input_dir: Path, content: bytes, sentence: str, chunks: int
) -> None:
    (input_dir / "t.csv").write_bytes(content)

    with pytest.raises(InputUnusable) as refused:
        run(count_by.build(1, {"path": "t.csv", "by": ["b"], "chunks": chunks}))

    assert str(refused.value) == sentence
    assert str(pickle.loads(pickle.dumps(refused.value))) == sentence  # noqa: S301 - as a worker's processes do


@pytest.mark.parametrize("fields", [b",x" * 20_000, b',"\n"' * 10_000])
def test_a_row_of_many_fields_is_kept_in_memory_only_up_to_a_length(
    input_dir: Path, monkeypatch: pytest.MonkeyPatch, fields: bytes
) -> None:
    monkeypatch.setattr(csv_files, "BLOCK", 1_000)
    monkeypatch.setattr(csv_files, "LONGEST_ROW", 10_000)
    (input_dir / "t.csv").write_bytes(b"a,b\n1,2\n1" + fields + b"\n1,2\n")

    with pytest.raises(InputUnusable) as refused:
        run(count_by.build(1, {"path": "t.csv", "by": ["b"], "chunks": 1}))

    assert str(refused.value) == TOO_LONG


def test_a_row_that_is_short_only_behind_the_columns_asked_for_is_counted(input_dir: Path) -> None:
    (input_dir / "t.csv").write_text("a,b,c\n1\n1,2\n1,2,3,4\n", encoding="utf-8")

    assert counts_of(run(count_by.build(1, {"path": "t.csv", "by": ["a"]}))) == Counter({("1",): 3})


def touch(place: Path) -> None:
    os.utime(place, ns=(0, place.stat().st_mtime_ns + 1))


def append(place: Path) -> None:
    with place.open("a", encoding="utf-8") as file:
        file.write("One,More,Person,Here\n")


@pytest.mark.parametrize("change", [touch, append])
def test_a_file_that_changes_between_two_steps_is_told(people: Path, change: Any) -> None:
    def change_after_the_second(number: int) -> None:
        if number == 2:
            change(people)

    with pytest.raises(InputChanged) as refused:
        run(count_by.build(1, PEOPLE_BY | {"chunks": 4}), after=change_after_the_second)

    assert str(refused.value) == (
        "'people.csv' changed after the operation began to read it: start a new operation on the file as it is now."
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"path": "../people.csv"}, "path"),
        ({"path": "/people.csv"}, "path"),
        ({"path": "a\0b"}, "path"),
        ({"path": 5}, "path"),
        ({"by": []}, "by"),
        ({"by": [str(n) for n in range(17)]}, "by"),
        ({"by": ["company", "company"]}, "by"),
        ({"by": ["count"]}, "by"),
        ({"by": ["company", ""]}, "by.1"),
        ({"by": "company"}, "by"),
        ({"chunks": 0}, "chunks"),
        ({"chunks": 10_001}, "chunks"),
        ({"chunks": "100"}, "chunks"),
        ({"top": 0}, "top"),
        ({"delimiter": ";"}, "delimiter"),
    ],
)
def test_arguments_that_cannot_be_right_are_refused_at_once(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ArgumentsInvalid) as refused:
        count_by.validate(PEOPLE_BY | change)

    assert [fault["field"] for fault in refused.value.faults] == [field]


def test_what_a_step_hands_on_does_not_grow_with_the_rows(people: Path) -> None:
    carried: dict[str, Any] = module.count_range(None, "people.csv", ["gender"], 1, 1)

    assert len(carried["counts"]) == len(count_naively(people, "gender"))
    assert len(str(carried)) < 500


ALONE = """
import tracemalloc
from celery import Celery
from pausable.workflows.shipped import csv_files
from pausable.workflows.shipped.count_by import count_by
from tests.workflows.conftest import run

app = Celery("alone", broker="memory://")
app.conf.input_dir = {folder!r}
app.set_default()
csv_files.BLOCK = 16_384
canvas = count_by.build(1, {{"path": "t.csv", "by": ["a", "b"], "chunks": 1}})
tracemalloc.start()
print(run(canvas)["rows"], tracemalloc.get_traced_memory()[1])
"""


def test_memory_does_not_grow_with_the_file(input_dir: Path) -> None:
    """In a process of its own: threads that other tests left behind take memory too."""
    with (input_dir / "t.csv").open("w", encoding="utf-8") as file:
        file.writelines(["a,b\n", *(f'{n % 7},"number {n % 11}"\n' for n in range(200_000))])

    command = [sys.executable, "-c", ALONE.format(folder=str(input_dir))]
    rows, peak = map(int, subprocess.check_output(command, cwd=ROOT, text=True).split())

    assert rows == 200_000
    assert peak < 500_000 < (input_dir / "t.csv").stat().st_size / 4


def test_a_missing_column_is_named_beside_those_of_the_header_with_all_their_blanks(input_dir: Path) -> None:
    (input_dir / "t.csv").write_text("first  name,last\tname\nx,y\n", encoding="utf-8")

    with pytest.raises(ColumnMissing) as missing:
        run(count_by.build(1, {"path": "t.csv", "by": ["first name"], "chunks": 1}))

    assert "no column 'first name': its header names first  name, last\tname." in str(missing.value)


def test_the_limit_of_a_field_is_not_what_somebody_else_has_set(input_dir: Path) -> None:
    (input_dir / "t.csv").write_text("name\n" + "x" * 100 + "\n", encoding="utf-8")
    former = csv.field_size_limit(10)
    try:
        result = run(count_by.build(1, {"path": "t.csv", "by": ["name"], "chunks": 1}))
        kept = csv.field_size_limit()
    finally:
        csv.field_size_limit(former)

    assert result["rows"] == 1
    assert kept == 10
