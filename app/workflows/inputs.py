"""The files that workflows read: named by people, relative to INPUT_DIR, and never found outside it."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Final

from celery import current_app
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from app.config import read_settings
from app.errors import InputChanged, InputOutside, InputUnreadable

#: To open a pipe would wait for somebody to write into it; a device may never end.
_NO_FILE: Final = "it is not a file"

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader


def _beneath(path: str) -> str:
    asked = PurePosixPath(path)
    if asked.is_absolute() or ".." in asked.parts or "\0" in path or not asked.parts:
        raise PydanticCustomError("path_outside", "Name a file below INPUT_DIR, with no leading / and no ..")
    return path


#: A parameter that names a file below INPUT_DIR.
InputPath = Annotated[
    str,
    Field(min_length=1, max_length=1024, description="The file, as a path relative to INPUT_DIR."),
    AfterValidator(_beneath),
]


@dataclass(frozen=True)
class Edition:
    """What tells a file as it was from one that changed since: its size in bytes and its time of change in ns."""

    size: int
    modified: int


def edition(file: BufferedReader) -> Edition:
    """The edition of an open file as it is now."""
    found = os.fstat(file.fileno())
    return Edition(found.st_size, found.st_mtime_ns)


def input_dir() -> Path:
    """INPUT_DIR: what this process's Celery app was told or, where slices run without the service, the setting."""
    told = current_app.conf.get("input_dir")
    return Path(told) if told else read_settings()[0].input_dir.absolute()


@contextmanager
def reading(folder: Path, path: str, expected: Edition | None = None) -> Iterator[BufferedReader]:
    """The file at `path` below `folder`, open for as long as the block lasts.

    Raises:
        InputOutside: A link leads out of the folder.
        InputUnreadable: There is no such file, or it cannot be opened.
        InputChanged: It is not the expected edition, or became another one while it was read.
    """
    with _opened(folder, path) as file:
        found = edition(file)
        if expected not in (None, found):
            raise InputChanged(path)
        try:
            yield file
        finally:  # a fault that comes of reading a changing file is told as the change
            if edition(file) != found:
                raise InputChanged(path)


def _opened(folder: Path, path: str) -> BufferedReader:
    try:
        place = Path(os.path.realpath(folder / path, strict=True))
        if not place.is_relative_to(os.path.realpath(folder)):
            raise InputOutside(path)
        if not place.is_file():
            raise InputUnreadable(path, _NO_FILE)
        return _regular(place, path)
    except (OSError, ValueError) as fault:  # ValueError: a NUL, or half a character
        raise InputUnreadable(path, getattr(fault, "strerror", None) or str(fault)) from fault


def _regular(place: Path, path: str) -> BufferedReader:
    """Open what was found to be a file; it may have been exchanged for a link, a pipe or a device since."""
    file = open(os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise InputUnreadable(path, _NO_FILE)
    return file
