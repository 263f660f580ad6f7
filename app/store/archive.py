"""The file that a backup is: a compressed tar with the database, the documents and, last, a list of all with digests.

What is read from one is written only under names that a backup has, and counts only once the list agrees with it all.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from gzip import BadGzipFile
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, Final

from app.errors import BackupUnusable
from app.store.files import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    #: What is told how many bytes are done.
    Told = Callable[[int], None]

#: The version of the format.
FORMAT: Final = 1
#: Names in the archive.
DATABASE: Final = "operations.db"
DOCUMENTS: Final = "documents"
_LIST: Final = "list.json"
_KEY: Final = "[1-9][0-9]{0,17}"
_NAME: Final = re.compile(rf"operations\.db|list\.json|documents/{_KEY}/{VERSION.pattern}/workflow\.json")
_LARGEST_LIST: Final = 1 << 30
_CHUNK: Final = 1 << 20


def untold(_done: int) -> None:
    """Tell nobody how many bytes are done."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What an archive holds: files by name, with size and SHA-256; and when it was made, since the epoch."""

    made_at: float
    files: dict[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def documents(self) -> list[str]:
        """The names of the documents in it."""
        return [name for name in self.files if name.startswith(f"{DOCUMENTS}/")]

    def as_json(self) -> bytes:
        """The list as it stands in the archive."""
        files = {name: {"size": size, "sha256": digest} for name, (size, digest) in self.files.items()}
        return json.dumps({"format": FORMAT, "made_at": self.made_at, "files": files}).encode()


class _Digested:
    """A file that is read from, and the digest of what was read."""

    def __init__(self, file: IO[bytes], tell: Callable[[], None]) -> None:
        self._file = file
        self._tell = tell
        self.size = 0
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        content = self._file.read(size)
        self.size += len(content)
        self.digest.update(content)
        self._tell()
        return content

    def fact(self) -> tuple[int, str]:
        """Size and digest of what was read."""
        return self.size, self.digest.hexdigest()


class Writer:
    """Adds files to an archive."""

    def __init__(self, archive: tarfile.TarFile, made_at: float, tell: Told) -> None:
        self._archive = archive
        self._tell = tell
        self._read = 0
        self.contents = Contents(made_at)

    def add(self, name: str, path: Path) -> None:
        """Add a file under a name. Raises FileNotFoundError when it is gone."""
        with path.open("rb") as file:
            content = _Digested(file, lambda: self._tell(self._read + content.size))
            self._put(name, os.fstat(file.fileno()).st_size, content)
            self._read += content.size
            self.contents.files[name] = content.fact()

    def end(self) -> None:
        """Add the list: without it an archive is none."""
        listed = self.contents.as_json()
        self._put(_LIST, len(listed), BytesIO(listed))

    def _put(self, name: str, size: int, content: Any) -> None:
        header = tarfile.TarInfo(name)
        header.size, header.mode, header.mtime = size, 0o600, self.contents.made_at
        self._archive.addfile(header, content)


@contextmanager
def writing(path: Path, made_at: float, tell: Told = untold) -> Iterator[Writer]:
    """Write an archive, readable by its owner alone, that is on the disk when the block is left.

    What it is to `tell` is how many bytes of files have been added so far.
    """
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive:
            writer = Writer(archive, made_at, tell)
            yield writer
            writer.end()
        file.flush()
        os.fsync(file.fileno())


def unpack(file: Path, folder: Path, tell: Told) -> Contents:
    """Write what an archive holds into an empty folder, and compare it with its list.

    What it is to `tell` is how many bytes of the archive have been read so far.

    Raises:
        BackupUnusable: It is no archive, is cut short, holds anything that no backup holds, or something was altered.
    """
    try:
        with file.open("rb") as packed, tarfile.open(fileobj=packed, mode="r:gz") as archive:
            unpacking = _Unpacking(file, archive, folder, lambda: tell(packed.tell()))
            found = dict(map(unpacking.unpacked, archive))
    except (tarfile.TarError, EOFError, BadGzipFile, zlib.error) as why:
        raise BackupUnusable(file, f"it is no whole archive ({why})") from why
    if found.pop(_LIST, None) is None:
        raise BackupUnusable(file, "it has no list of what it holds, so it is cut short or is no backup")
    contents = _listed(file, folder / _LIST)
    if contents.files != found:
        raise BackupUnusable(file, "what it holds is not what its list says")
    return contents


@dataclass(frozen=True, slots=True)
class _Unpacking:
    """An archive that is being written into a folder."""

    file: Path
    archive: tarfile.TarFile
    folder: Path
    tell: Callable[[], None]

    def unpacked(self, member: tarfile.TarInfo) -> tuple[str, tuple[int, str]]:
        """Write a member of it; returns its name, and its size and digest."""
        target = self.folder / member.name if _NAME.fullmatch(member.name) else None
        content = self.archive.extractfile(member) if member.type == tarfile.REGTYPE else None
        if target is None or content is None or target.exists():
            raise BackupUnusable(self.file, f"it holds {member.name!r}, which no backup holds so")
        target.parent.mkdir(parents=True, exist_ok=True)
        digested = _Digested(content, self.tell)
        with target.open("xb") as written:
            while chunk := digested.read(_CHUNK):
                written.write(chunk)
        return member.name, digested.fact()


def _listed(file: Path, path: Path) -> Contents:
    if path.stat().st_size > _LARGEST_LIST:
        raise BackupUnusable(file, "its list is too long")
    try:
        listed = json.loads(path.read_bytes())
        files = {str(name): (int(fact["size"]), str(fact["sha256"])) for name, fact in listed["files"].items()}
        made = Contents(float(listed["made_at"]), files)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as why:
        raise BackupUnusable(file, "its list cannot be read") from why
    if listed.get("format") != FORMAT:
        raise BackupUnusable(file, f"it has the format {listed.get('format')!r}, and this version reads {FORMAT}")
    return made
