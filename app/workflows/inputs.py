"""The files that workflows read: named by people, relative to INPUT_DIR, and never found outside it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from app.errors import InputChanged, InputOutside, InputUnreadable

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
    stat = os.fstat(file.fileno())
    return Edition(stat.st_size, stat.st_mtime_ns)


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
        if not place.is_file():  # to open a pipe would wait for somebody to write into it
            raise InputUnreadable(path, "it is not a file")
        return place.open("rb")
    except OSError as fault:
        raise InputUnreadable(path, fault.strerror or str(fault)) from fault
