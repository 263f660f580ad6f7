"""Files are written whole or not at all, and a folder is kept by one service at a time."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from app.store.files import alone_in, write_atomically

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
    monkeypatch.setattr("app.store.files.sync_folder", synced.append)

    write_atomically(tmp_path / "1" / "2" / "workflow.json", b"{}", new_folders=2)

    assert synced == [tmp_path / "1" / "2", tmp_path / "1", tmp_path]


def test_a_folder_is_kept_by_one_at_a_time(tmp_path: Path) -> None:
    with alone_in(tmp_path) as first, alone_in(tmp_path) as second:
        assert (first, second) == (True, False)

    with alone_in(tmp_path) as again:
        assert again
