"""Files on disk: atomic writes, and the lock that keeps a second service out of a folder."""

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
#: Folder name of a version of a document; a digest is appended if another process wrote the same version.
VERSION: Final = re.compile("[1-9][0-9]{0,17}(-[0-9a-f]{8})?")


def write_atomically(
    path: Path,
    content: bytes,
    *,
    new_folders: int = 0,
    guard: Callable[[], None] = lambda: None,
    is_new: bool = False,
) -> None:
    """Write a file atomically, readable by its owner only.

    Args:
        path: The file; missing parent folders are created.
        content: The bytes.
        new_folders: How many parent folders to sync as well, counted from the file upwards.
        guard: Called right before the file becomes visible; what it raises leaves no trace.
        is_new: Refuse to replace a file.

    Raises:
        OSError: The disk does not accept the file.
        FileExistsError: `is_new` is set and the file exists.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")  # mode 0600 from the start
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
        path.hardlink_to(temporary)  # unlike rename, it never replaces a file
        temporary.unlink()
    else:
        temporary.replace(path)


def load_or_create_secret(path: Path, make: Callable[[], str]) -> str:
    """Return the secret stored in a file with access for its owner only; create it if it is missing.

    Of concurrent processes the first creates the secret and all return it. Surrounding whitespace is stripped. Raise
    OSError if the file can be neither written nor read.
    """
    if not path.exists():
        with suppress(FileExistsError):  # another process was first
            write_atomically(path, f"{make()}\n".encode(), is_new=True)
    return path.read_text(encoding="utf-8").strip()


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that renamed, created or removed entries survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def lock_folder(data_dir: Path) -> Iterator[bool]:
    """Yield whether this process alone uses the folder; the lock ends with the block or the process."""
    with (data_dir / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
