"""Files on disk: written whole or not at all, and the lock that keeps a second service out of a folder."""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOCK: Final = "supervisor.lock"
#: What a folder of one version of a document is called; with a digest where another process has written the same.
VERSION: Final = re.compile("[1-9][0-9]{0,17}(-[0-9a-f]{8})?")


def write_atomically(
    path: Path,
    content: bytes,
    *,
    new_folders: int = 0,
    guard: Callable[[], None] = lambda: None,
    is_new: bool = False,
) -> None:
    """Write a file, for its owner alone, so that a reader, or a power cut, meets all of it or none.

    Folders that are missing are made; so many of them survive a power cut as `new_folders` says, counted from the
    file upwards. `guard` is called right before the file can be seen. Raises OSError when the disk does not take it,
    FileExistsError when it `is_new` and yet there, and whatever the guard raises; then it leaves no trace.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")  # 0600 from the start
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        guard()
        _name(Path(temporary), path, is_new=is_new)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    for folder in list(path.parents)[: new_folders + 1]:
        sync_folder(folder)


def _name(temporary: Path, path: Path, *, is_new: bool) -> None:
    if is_new:
        path.hardlink_to(temporary)  # unlike a rename, it takes the place of nothing
        temporary.unlink()
    else:
        temporary.replace(path)


def keep_secret(path: Path, make: Callable[[], str]) -> str:
    """The secret that a file keeps, for its owner alone; where there is none, it is made and kept first.

    Of several processes that make one at once the first wins, and all are given that one. White space around it is
    none of it. Raises OSError when the file can be neither written nor read.
    """
    if not path.exists():
        with suppress(FileExistsError):  # another process was quicker
            write_atomically(path, f"{make()}\n".encode(), is_new=True)
    return path.read_text(encoding="utf-8").strip()


def sync_folder(folder: Path) -> None:
    """Make what was renamed, made or removed in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def alone_in(data_dir: Path) -> Iterator[bool]:
    """Whether no other service keeps this folder; while it is entered, none can. It ends with the process."""
    with (data_dir / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
