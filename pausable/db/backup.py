"""Back up the database and the documents into one compressed tar while the service runs, and restore them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import tarfile
import tempfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from gzip import BadGzipFile
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, delete, insert, literal, or_, select, text, update

from pausable import clock
from pausable.config import sqlite_url
from pausable.db.database import Database, is_database_error, sqlite_file
from pausable.db.files import VERSION, lock_folder, sync_folder, write_atomically
from pausable.db.migrations import upgrade_database
from pausable.db.tables import events, lost_claims, operations, steps, workers
from pausable.errors import BackupNeedsPgDump, BackupUnusable, DatabaseInTheWay, DatabaseInUse, RestoreNeedsPgRestore
from pausable.model.states import StepState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from pausable.config import Settings

if TYPE_CHECKING:
    #: A callable that is given the number of bytes done.
    Progress = Callable[[int], None]

#: Version of the archive's format.
FORMAT: Final = 1
#: Names in the archive.
DATABASE: Final = "operations.db"
DOCUMENTS: Final = "documents"
_LIST: Final = "list.json"
_KEY: Final = "[1-9][0-9]{0,17}"
_NAME: Final = re.compile(rf"operations\.db|list\.json|documents/{_KEY}/{VERSION.pattern}/workflow\.json")
_LARGEST_LIST: Final = 1 << 30
_CHUNK: Final = 1 << 20


def no_progress(_done: int) -> None:
    """Report no progress."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The index of an archive: its files by name with size and SHA-256, and when it was made (epoch seconds)."""

    made_at: float
    files: dict[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def documents(self) -> list[str]:
        """Return the names of the documents in it."""
        return [name for name in self.files if name.startswith(f"{DOCUMENTS}/")]

    def as_json(self) -> bytes:
        """Return the index as JSON."""
        files = {name: {"size": size, "sha256": digest} for name, (size, digest) in self.files.items()}
        return json.dumps({"format": FORMAT, "made_at": self.made_at, "files": files}).encode()


class _Digested:
    """A file being read, and the digest of what was read."""

    def __init__(self, file: IO[bytes], tell: Callable[[], None]) -> None:
        self._file = file
        self._tell = tell
        self.size = 0
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        content = self._file.read(size)
        self.size += len(content)
        self.digest.update(content)
        self._tell()
        return content

    def fact(self) -> tuple[int, str]:
        """Return size and digest of what was read."""
        return self.size, self.digest.hexdigest()


class Writer:
    """Adds files to an archive."""

    def __init__(self, archive: tarfile.TarFile, made_at: float, tell: Progress) -> None:
        self._archive = archive
        self._tell = tell
        self._read = 0
        self.contents = Contents(made_at)

    def add(self, name: str, path: Path) -> None:
        """Add a file under a name. Raise FileNotFoundError if it is gone."""
        with path.open("rb") as file:
            content = _Digested(file, lambda: self._tell(self._read + content.size))
            self._put(name, os.fstat(file.fileno()).st_size, content)
            self._read += content.size
            self.contents.files[name] = content.fact()

    def end(self) -> None:
        """Add the index, without which the archive is not valid."""
        listed = self.contents.as_json()
        self._put(_LIST, len(listed), BytesIO(listed))

    def _put(self, name: str, size: int, content: Any) -> None:
        header = tarfile.TarInfo(name)
        header.size, header.mode, header.mtime = size, 0o600, self.contents.made_at
        self._archive.addfile(header, content)


@contextmanager
def writing(path: Path, made_at: float, tell: Progress = no_progress) -> Iterator[Writer]:
    """Write an archive that only its owner can read; it is synced to disk at the end of the block.

    `tell` is called with the number of bytes of files added so far.
    """
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive:
            writer = Writer(archive, made_at, tell)
            yield writer
            writer.end()
        file.flush()
        os.fsync(file.fileno())


def unpack(file: Path, folder: Path, tell: Progress) -> Contents:
    """Unpack an archive into an empty folder and compare it with its index.

    Args:
        file: The archive.
        folder: The folder.
        tell: Called with the number of bytes of the archive read so far.

    Returns:
        The index.

    Raises:
        BackupUnusable: It is not an archive, is truncated, contains an unexpected file, or was modified.
    """
    try:
        with file.open("rb") as packed, tarfile.open(fileobj=packed, mode="r:gz") as archive:
            unpacking = _Unpacking(file, archive, folder, lambda: tell(packed.tell()))
            found = dict(map(unpacking.unpacked, archive))
    except (tarfile.TarError, EOFError, BadGzipFile, zlib.error) as why:
        raise BackupUnusable(file, f"it is not a complete archive ({why})") from why
    if found.pop(_LIST, None) is None:
        raise BackupUnusable(file, "it has no index: it is truncated or not a backup")
    contents = _listed(file, folder / _LIST)
    if contents.files != found:
        raise BackupUnusable(file, "its files do not match its index")
    return contents


@dataclass(frozen=True, slots=True)
class _Unpacking:
    """An archive being unpacked into a folder."""

    file: Path
    archive: tarfile.TarFile
    folder: Path
    tell: Callable[[], None]

    def unpacked(self, member: tarfile.TarInfo) -> tuple[str, tuple[int, str]]:
        """Unpack a member; return its name, size and digest."""
        target = self.folder / member.name if _NAME.fullmatch(member.name) else None
        content = self.archive.extractfile(member) if member.type == tarfile.REGTYPE else None
        if target is None or content is None or target.exists():
            raise BackupUnusable(self.file, f"it contains the unexpected member {member.name!r}")
        target.parent.mkdir(parents=True, exist_ok=True)
        digested = _Digested(content, self.tell)
        with target.open("xb") as written:
            while chunk := digested.read(_CHUNK):
                written.write(chunk)
        return member.name, digested.fact()


def _listed(file: Path, path: Path) -> Contents:
    if path.stat().st_size > _LARGEST_LIST:
        raise BackupUnusable(file, "its index is too long")
    try:
        listed = json.loads(path.read_bytes())
        files = {str(name): (int(fact["size"]), str(fact["sha256"])) for name, fact in listed["files"].items()}
        made = Contents(float(listed["made_at"]), files)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as why:
        raise BackupUnusable(file, "its index cannot be read") from why
    if listed.get("format") != FORMAT:
        raise BackupUnusable(file, f"it has the format {listed.get('format')!r}, but this version reads {FORMAT}")
    return made


_RUNNING: Final = steps.c.state == str(StepState.RUNNING)
_HAND_BACK: Final = (
    update(steps)
    .where(_RUNNING)
    .values(
        state=str(StepState.QUEUED),
        claim=steps.c.claim + 1,
        worker_id=None,
        process=None,
        process_start=None,
        due_at=bindparam("now"),
        publishes=0,
    )
)
#: A countdown or eta of the call keeps its time unless it has passed.
_IS_UNTIMED: Final = and_(*(steps.c.signature.not_like(f'%"{word}"%') for word in ("countdown", "eta")))
_QUEUED_AGAIN: Final = (
    update(steps)
    .where(steps.c.state == str(StepState.QUEUED), or_(steps.c.publishes > 0, _IS_UNTIMED))
    .values(due_at=bindparam("now"), publishes=0)
)
_STOP: Final = update(workers).where(workers.c.stopped_at.is_(None)).values(stopped_at=bindparam("now"))
_STORES: Final = select(operations.c.id, operations.c.workflow_store).where(operations.c.workflow_store.is_not(None))
_MOVE: Final = update(operations).where(operations.c.id == bindparam("key")).values(workflow_store=bindparam("store"))


def size_of(settings: Settings, database: Database, *, only_documents: bool = False) -> int:
    """Return about how many bytes a backup has to read."""
    paths = [path for _, path in _documents(settings.workflow_store)]
    if not only_documents and database.file:
        paths.append(database.file)
    return sum(path.stat().st_size for path in paths if path.exists())


def back_up(
    settings: Settings, database: Database, file: Path, *, only_documents: bool = False, tell: Progress = no_progress
) -> Contents:
    """Write an archive of one snapshot of the database, and of the documents, while the service runs.

    It contains no token: the database stores digests only, and DATA_DIR/token is left out.

    Args:
        settings: The settings.
        database: The database.
        file: The archive to create.
        only_documents: Leave the database out.
        tell: Called with the number of bytes read so far.

    Returns:
        The index of the archive.

    Raises:
        FileExistsError: The archive exists.
        BackupNeedsPgDump: pg_dump is missing or unusable.
    """
    if file.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(file))
    if not (only_documents or database.is_sqlite):
        raise BackupNeedsPgDump
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=file.absolute().parent) as folder:
        draft, copy = Path(folder, "archive"), Path(folder, DATABASE)
        with writing(draft, clock.now(), tell) as archive:
            if not only_documents:
                _copy(database, copy)
                archive.add(DATABASE, copy)
            # Documents after the database: a document is written before a row refers to it, and never changes.
            for name, path in _documents(settings.workflow_store):
                try:
                    archive.add(name, path)
                except FileNotFoundError:
                    continue  # pruned meanwhile: its operation has ended
        draft.replace(file)
    sync_folder(file.absolute().parent)
    return archive.contents


def restore(settings: Settings, file: Path, *, force: bool = False, tell: Progress = no_progress) -> Contents:
    """Restore the database and the documents of an archive; every operation can continue from there.

    Steps that were running at the time of the backup are queued again.

    Args:
        settings: The settings.
        file: The archive.
        force: Replace an existing database.
        tell: Called with the number of bytes of the archive read so far.

    Returns:
        The index of the archive.

    Raises:
        BackupUnusable: The archive is damaged.
        DatabaseInTheWay: A database exists and `force` is false.
        DatabaseInUse: A program uses the database.
        RestoreNeedsPgRestore: pg_restore is missing or unusable.
        DatabaseTooNew: A newer version of the service made the backup.
    """
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with lock_folder(settings.data_dir) as alone:
        if not alone:
            raise DatabaseInUse(settings.data_dir)
        target = _target(settings)
        if target and target.exists() and not force:
            raise DatabaseInTheWay(target)
        beside = target.parent if target else settings.data_dir
        beside.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=beside) as folder:
            contents = unpack(file, Path(folder), tell)
            _put_in_place(settings, file, Path(folder), target, contents)
            return contents


def _put_in_place(settings: Settings, file: Path, folder: Path, target: Path | None, contents: Contents) -> None:
    store = settings.workflow_store.absolute()
    if DATABASE in contents.files:
        if target is None:
            raise RestoreNeedsPgRestore(file)
        _adapt(file, folder / DATABASE, store)
        _remove_database_files(target)
    for name in contents.documents:
        path = store / Path(name).relative_to(DOCUMENTS)
        write_atomically(path, (folder / name).read_bytes(), new_folders=2)
    if target and DATABASE in contents.files:
        (folder / DATABASE).replace(target)
        sync_folder(target.parent)


def _target(settings: Settings) -> Path | None:
    """Return the file of the database; None for PostgreSQL."""
    file = sqlite_file(settings.database_url)
    return file.absolute() if file else None


def _copy(database: Database, file: Path) -> None:
    with database.glance() as tx:
        driver: Any = tx.connection.driver_connection
        driver.execute("VACUUM INTO ?", (str(file),))


def _documents(store: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(store.glob("*/*/workflow.json")):
        operation, version = path.parts[-3:-1]
        if operation.isdecimal() and VERSION.fullmatch(version) and not path.is_symlink():
            yield f"{DOCUMENTS}/{operation}/{version}/workflow.json", path


def _adapt(file: Path, copy: Path, store: Path) -> None:
    """Migrate a database that nobody else has open, and adapt it to this location and moment."""
    database = Database(sqlite_url(copy))
    try:
        with database.read() as tx:
            if (said := tx.execute(text("PRAGMA quick_check")).scalars().first()) != "ok":
                raise BackupUnusable(file, f"its database is damaged ({said})")
        upgrade_database(database)
        with database.write() as tx:
            _release_claims(tx)
            _move_documents(tx, store)
    except Exception as why:
        if is_database_error(why):
            raise BackupUnusable(file, f"its database is damaged ({why})") from why
        raise
    finally:
        database.close()
    copy.chmod(0o600)


def _release_claims(tx: Connection) -> None:
    """Release every claim.

    The holders are workers of the service that was backed up, which may still run next to this one: they must not be
    looked for or killed. A step whose message was sent there is published here at once.
    """
    now = clock.now()
    why = "restored from a backup"
    told = select(
        steps.c.operation_id, literal(now), literal("restore"), steps.c.slug, steps.c.state,
        literal(str(StepState.QUEUED)), literal(why),
    ).where(_RUNNING)  # fmt: skip
    tx.execute(insert(events).from_select(["operation_id", "at", "who", "step", "old", "new", "why"], told))
    for statement in (_QUEUED_AGAIN, _HAND_BACK, _STOP):
        tx.execute(statement, {"now": now})
    tx.execute(delete(lost_claims))


def _move_documents(tx: Connection, store: Path) -> None:
    found: Any = tx.execute(_STORES)
    moved = [{"key": key, "store": str(store.joinpath(*Path(path).parts[-3:]))} for key, path in found]
    if moved:
        tx.execute(_MOVE, moved)


def _remove_database_files(target: Path) -> None:
    """Remove the files of the database being replaced: its write-ahead log would be applied to the new one."""
    if target.exists():
        database = Database(sqlite_url(target))
        try:
            with database.glance() as tx:
                driver: Any = tx.connection.driver_connection
                driver.execute("PRAGMA journal_mode = DELETE")  # fails while another program has the file open
        except Exception as why:
            if not is_database_error(why) or "locked" in str(why):
                raise DatabaseInUse(target) from why
        finally:
            database.close()
    for end in ("-wal", "-shm"):
        target.with_name(target.name + end).unlink(missing_ok=True)
