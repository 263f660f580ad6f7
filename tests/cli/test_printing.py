"""What is written on a terminal cannot steer it, and fits it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.cli.output import Column, duration, plain, say, table
from tests.cli.terminal import undrawn

LinesAt = Callable[[int], list[str]]
COLUMNS = (Column("id", right=True), Column("name", cut=True), Column("when", keep=1), Column("state", keep=2))
ROWS = [(7, "a-long-name-of-some-forty-characters-or-so", "2026-11-21", "COMPLETED"), (12, "b", "", None)]


@pytest.fixture
def lines_at(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> LinesAt:
    """The lines of the table above on a terminal of so many columns."""

    def lines(width: int) -> list[str]:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", str(width))
        table(COLUMNS, ROWS)
        return [line.rstrip() for line in undrawn(capsys.readouterr().out).splitlines()]

    return lines


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("café 日本 ok", "café 日本 ok"),
        ("two\nlines", "two\nlines"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b31m", "\\x9b31m"),
        ("\r\t\0", "\\r\\t\\x00"),
        ("a\u202eb", "a\\u202eb"),
        ("\udcff", "\\udcff"),
    ],
)
def test_no_character_can_steer_the_terminal(text: str, written: str) -> None:
    assert plain(text) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (None, ""),
        (-0.1, "0.0 s"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (59.9, "59 s"),
        (61, "1 min 1 s"),
        (3600, "1 h 0 min"),
        (90061, "1 d 1 h"),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float | None, written: str) -> None:
    assert duration(seconds) == written


def test_in_a_file_a_table_has_all_its_columns_whole(capsys: pytest.CaptureFixture[str]) -> None:
    table(COLUMNS, ROWS)

    header, first, second = capsys.readouterr().out.splitlines()
    assert header.split() == ["id", "name", "when", "state"]
    assert first.split() == ["7", ROWS[0][1], "2026-11-21", "COMPLETED"]
    assert second.split() == ["12", "b"]


@pytest.mark.parametrize(
    ("width", "header", "row"),
    [
        (90, "id  name  when  state", "7  a-long-name-of-some-forty-characters-or-so  2026-11-21  COMPLETED"),
        (60, "id  name  when  state", "7  a-long-name-of-some-forty-charac…  2026-11-21  COMPLETED"),
        (45, "id  name  state", "7  a-long-name-of-some-forty-cha…  COMPLETED"),
        (30, "id  name", "7  a-long-name-of-some-forty…"),
        (12, "id  name", "7  a-long-…"),
    ],
)
def test_on_a_terminal_columns_go_and_texts_are_cut_until_the_rest_fits(
    lines_at: LinesAt, width: int, header: str, row: str
) -> None:
    lines = lines_at(width)

    assert [lines[0].split(), lines[1].split()] == [header.split(), row.split()]
    assert all(len(line) <= width for line in lines)


def test_what_standard_output_cannot_write_is_written_as_its_number(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout", open(1, "w", encoding="latin-1", closefd=False))  # noqa: SIM115

    say("日本")
    table((Column("name"),), [("日本",)])

    assert capfd.readouterr().out.split() == ["\\u65e5\\u672c", "name", "\\u65e5\\u672c"]
