from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from pydantic import TypeAdapter, ValidationError

from pausable.errors import InputChanged, InputOutside, InputUnreadable
from pausable.workflows.shipped.csv_files import Edition, InputPath, edition, reading

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """An input folder with one file in it, and one beside it."""
    folder = tmp_path / "input"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a.csv").write_bytes(b"letters")
    (tmp_path / "secret.csv").write_bytes(b"secret")
    return folder


def read(folder: Path, path: str, expected: Edition | None = None) -> bytes:
    with reading(folder, path, expected) as file:
        return file.read()


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret.csv", "a/../../secret.csv", "..", ".", "./", "", "a\0b"])
def test_a_path_that_is_no_name_below_the_folder_is_invalid(path: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(InputPath).validate_python(path)


@pytest.mark.parametrize("path", ["a.csv", "inner/a.csv", "..a.csv", "a..csv", "né e.csv", "./a.csv"])
def test_a_path_below_the_folder_is_valid_as_it_stands(path: str) -> None:
    assert TypeAdapter(InputPath).validate_python(path) == path


def test_a_file_below_the_folder_is_read(letters: Path) -> None:
    assert read(letters, "inner/a.csv") == b"letters"


def test_a_link_that_stays_below_the_folder_is_followed_also_where_the_folder_is_one(letters: Path) -> None:
    (letters / "link.csv").symlink_to("inner/a.csv")
    (letters.parent / "elsewhere").symlink_to(letters)

    assert read(letters.parent / "elsewhere", "link.csv") == b"letters"


@pytest.mark.parametrize("path", ["link.csv", "up/secret.csv", "../secret.csv"])
def test_what_leads_outside_the_folder_is_refused(letters: Path, path: str) -> None:
    (letters / "link.csv").symlink_to(letters.parent / "secret.csv")
    (letters / "up").symlink_to("..")

    with pytest.raises(InputOutside) as refused:
        read(letters, path)

    assert str(refused.value) == f"{path!r} leads outside INPUT_DIR: only files that lie below that folder are read."


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("none.csv", "No such file or directory"),
        ("inner", "it is not a file"),
        ("pipe", "it is not a file"),
        ("inner/a.csv/b.csv", "Not a directory"),
        ("loop", "Too many levels of symbolic links"),
        ("x" * 300, "File name too long"),
        ("x/" * 3000, "No such file or directory"),
        ("a\0b", "embedded null byte"),
        ("device", "it is not a file"),
        ("socket", "it is not a file"),
    ],
)
def test_what_cannot_be_read_is_named_with_the_reason(letters: Path, path: str, why: str) -> None:
    os.mkfifo(letters / "pipe")
    os.mknod(letters / "socket", stat.S_IFSOCK)
    try:
        os.mknod(letters / "device", stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:  # only root may make one: a folder is as little a file
        (letters / "device").mkdir()
    (letters / "loop").symlink_to("loop")

    with pytest.raises(InputUnreadable) as refused:
        read(letters, path)

    assert str(refused.value) == f"There is no readable file {path!r} below INPUT_DIR: {why}."


@pytest.mark.parametrize("exchange", ["link", "pipe"])
def test_what_is_exchanged_for_something_else_while_it_is_opened_is_not_read(
    letters: Path, monkeypatch: pytest.MonkeyPatch, exchange: str
) -> None:
    file, opened = letters / "inner" / "a.csv", os.open

    def after_an_exchange(place: Path, flags: int) -> int:
        file.unlink()
        os.mkfifo(file) if exchange == "pipe" else file.symlink_to(letters.parent / "secret.csv")
        return opened(place, flags)

    monkeypatch.setattr("pausable.workflows.shipped.csv_files.os.open", after_an_exchange)

    with pytest.raises(InputUnreadable):
        read(letters, "inner/a.csv")


@pytest.mark.parametrize("path", ["/etc/passwd", "inner/../../secret.csv", "../input/../secret.csv", "//etc/passwd"])
def test_a_path_that_came_past_the_validation_leads_nowhere_all_the_same(letters: Path, path: str) -> None:
    with pytest.raises(InputOutside):
        read(letters, path)


@pytest.mark.parametrize(
    "name", ["\ud800", "a\nb.csv", "%2e%2e%2fsecret.csv", "..%2fsecret.csv", "..\\secret.csv", "~", "~root/x"]
)
def test_a_name_that_is_written_strangely_is_a_name_and_no_way_out(letters: Path, name: str) -> None:
    with pytest.raises(InputUnreadable):
        read(letters, name)


def test_a_folder_that_is_gone_is_told(letters: Path) -> None:
    with pytest.raises(InputUnreadable, match="No such file or directory"):
        read(letters / "gone", "a.csv")


def test_the_same_edition_is_read_again(letters: Path) -> None:
    with reading(letters, "inner/a.csv") as file:
        before = edition(file)

    assert read(letters, "inner/a.csv", before) == b"letters"


@pytest.mark.parametrize("other", [Edition(6, 0), Edition(7, 1)])
def test_another_size_or_time_of_change_is_told_as_a_change(letters: Path, other: Edition) -> None:
    os.utime(letters / "inner" / "a.csv", ns=(0, 0))

    with pytest.raises(InputChanged):
        read(letters, "inner/a.csv", other)


def test_a_change_while_it_is_read_is_told_instead_of_what_came_of_it(letters: Path) -> None:
    def fail_while_it_is_cut() -> None:
        with reading(letters, "inner/a.csv"):
            (letters / "inner" / "a.csv").write_bytes(b"cut")
            raise EOFError

    with pytest.raises(InputChanged):
        fail_while_it_is_cut()
