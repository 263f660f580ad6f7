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

#: Bytes that are read at a time.
_PART: Final = 64 * 1024
#: Bytes of the name of a file on most systems, and of a path on Linux, with the zero behind it.
_LONGEST_NAME: Final = 255
_LONGEST_PATH: Final = 4096
_READING: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


class LocalResult(Result):
    """Keeps results as files under a folder, which is made when the first is written; readable by their owner alone."""

    def __init__(self, dir: str | Path) -> None:
        self._folder = Path(dir).expanduser().absolute()

    @property
    def location(self) -> str:
        """The folder."""
        return str(self._folder)

    def exists(self, path: str) -> bool:
        """Whether something lies there."""
        return os.path.lexists(self._file(path))

    def read(self, path: str) -> bytes:
        """What lies there, if that is a file: a pipe in its place would keep its reader waiting."""
        descriptor = os.open(self._file(path), _READING)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "It is not a file")
            with open(descriptor, "rb", closefd=False) as file:
                return file.read()
        finally:
            os.close(descriptor)

    def parts(self, path: str) -> Iterator[bytes]:
        """Yield what lies there, 64 KiB at a time: it stays what it was although another result takes its place."""
        descriptor = os.open(self._file(path), _READING)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "It is not a file")
            yield from iter(lambda: file.read(_PART), b"")

    def write(self, path: str, content: bytes, *, guard: Callable[[], None] = at_any_time) -> None:
        """Put the content there: a temporary file beside it, fsync, the guard, rename."""
        file = self._file(path)
        write_atomically(file, content, new_folders=_missing(file), guard=guard)

    def create(self, path: str, content: bytes) -> bool:
        """Put the content there where no file is."""
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
            raise TargetOutside(path, f"has a part of more than {longest} bytes, which no folder there takes")
        if len(os.fsencode(file)) >= _LONGEST_PATH:
            raise TargetOutside(path, f"is longer, with its folder {self._folder}, than {_LONGEST_PATH - 1:,} bytes")
        if not file.resolve().is_relative_to(self._folder.resolve()):  # by a symbolic link
            raise TargetOutside(path, "leads out of its store")
        return file

    def _longest_name(self) -> int:
        """Bytes of the name of a file where the folder lies, or will."""
        there = next((folder for folder in (self._folder, *self._folder.parents) if folder.exists()), Path("/"))
        try:
            return os.pathconf(there, "PC_NAME_MAX")
        except OSError:
            return _LONGEST_NAME


def _missing(file: Path) -> int:
    """How many of its folders are yet to be made."""
    return sum(1 for folder in file.parents if not folder.exists())
