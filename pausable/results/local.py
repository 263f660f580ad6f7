"""Results in a folder."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pausable.db.files import write_atomically
from pausable.errors import TargetOutside
from pausable.results.base import Result, at_any_time, inside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Bytes per read.
_PART: Final = 64 * 1024
#: Maximum bytes of a file name on most systems, and of a path on Linux with its terminating zero.
_LONGEST_NAME: Final = 255
_LONGEST_PATH: Final = 4096
_READING: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


class LocalResult(Result):
    """Stores results as files in a folder that is created on the first write; only their owner can read them."""

    def __init__(self, dir: str | Path) -> None:
        self._folder = Path(dir).expanduser().absolute()

    @property
    def location(self) -> str:
        """Return the folder."""
        return str(self._folder)

    def exists(self, path: str) -> bool:
        """Return whether something exists at the path."""
        return os.path.lexists(self._file(path))

    def read(self, path: str) -> bytes:
        """Return the content of a regular file: reading a pipe would block."""
        descriptor = os.open(self._file(path), _READING)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            with open(descriptor, "rb", closefd=False) as file:
                return file.read()
        finally:
            os.close(descriptor)

    def parts(self, path: str) -> Iterator[bytes]:
        """Yield the content in parts of 64 KiB; a concurrent replacement does not affect an open reader."""
        descriptor = os.open(self._file(path), _READING)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            yield from iter(lambda: file.read(_PART), b"")

    def write(self, path: str, content: bytes, *, guard: Callable[[], None] = at_any_time) -> None:
        """Write to a temporary file next to it, fsync, call the guard, rename."""
        file = self._file(path)
        write_atomically(file, content, new_folders=_missing(file), guard=guard)

    def create(self, path: str, content: bytes) -> bool:
        """Write the content if no file exists at the path."""
        file = self._file(path)
        try:
            write_atomically(file, content, new_folders=_missing(file), is_new=True)
        except FileExistsError:
            return False
        return True

    def remove_all(self, folder: str) -> bool:
        """Remove the folder."""
        try:
            shutil.rmtree(self._file(folder))
        except FileNotFoundError:
            return False
        return True

    def _file(self, path: str) -> Path:
        file = self._folder / inside(path)
        longest = self._longest_name()
        if any(len(os.fsencode(part)) > longest for part in path.split("/")):
            raise TargetOutside(path, f"has a part of more than {longest} bytes, the limit of the file system")
        if len(os.fsencode(file)) >= _LONGEST_PATH:
            raise TargetOutside(path, f"is longer, with its folder {self._folder}, than {_LONGEST_PATH - 1:,} bytes")
        if not file.resolve().is_relative_to(self._folder.resolve()):  # through a symbolic link
            raise TargetOutside(path, "leaves its store through a symbolic link")
        return file

    def _longest_name(self) -> int:
        """Return the maximum bytes of a file name on the file system of the folder."""
        there = next((folder for folder in (self._folder, *self._folder.parents) if folder.exists()), Path("/"))
        try:
            return os.pathconf(there, "PC_NAME_MAX")
        except OSError:
            return _LONGEST_NAME


def _missing(file: Path) -> int:
    """Return how many of its parent folders do not exist yet."""
    return sum(1 for folder in file.parents if not folder.exists())
