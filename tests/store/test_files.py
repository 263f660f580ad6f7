"""Files are written whole or not at all, and a folder is kept by one service at a time."""

from __future__ import annotations

import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import TYPE_CHECKING

import pytest

from pausable.db.files import load_or_create_secret, lock_folder, write_atomically

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "1" / "2" / "workflow.json"
    write_atomically(file, b"first")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(file, b"second")

    assert file.read_bytes() == b"first"
    assert list(file.parent.iterdir()) == [file]


def test_a_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    write_atomically(tmp_path / "new" / "token", b"secret")

    assert stat.S_IMODE((tmp_path / "new" / "token").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_every_new_folder_that_is_named_is_made_to_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("pausable.db.files.sync_folder", synced.append)

    write_atomically(tmp_path / "1" / "2" / "workflow.json", b"{}", new_folders=2)

    assert synced == [tmp_path / "1" / "2", tmp_path / "1", tmp_path]


def test_a_secret_is_made_once_and_kept_for_its_owner_alone(tmp_path: Path) -> None:
    first = load_or_create_secret(tmp_path / "new" / "key", lambda: "first")
    again = load_or_create_secret(tmp_path / "new" / "key", lambda: "second")

    assert (first, again) == ("first", "first")
    assert stat.S_IMODE((tmp_path / "new" / "key").stat().st_mode) == 0o600


def test_of_many_that_make_a_secret_at_once_all_are_given_the_same(tmp_path: Path) -> None:
    made: list[str] = []
    all_are_making = threading.Barrier(8)

    def make() -> str:
        all_are_making.wait(10)
        made.append(token_hex())
        return made[-1]

    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda _: load_or_create_secret(tmp_path / "key", make), range(8)))

    assert len(set(made)) == 8
    assert len(set(given)) == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "key"]


def test_a_folder_is_kept_by_one_at_a_time(tmp_path: Path) -> None:
    with lock_folder(tmp_path) as first, lock_folder(tmp_path) as second:
        assert (first, second) == (True, False)

    with lock_folder(tmp_path) as again:
        assert again
