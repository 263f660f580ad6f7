"""Backing the database and the documents up while everything runs, and putting them back where nothing does."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, delete, insert, literal, or_, select, text, update

from app import clock
from app.config import sqlite_url
from app.domain.states import StepState
from app.errors import BackupNeedsPgDump, BackupUnusable, DatabaseInTheWay, DatabaseInUse, RestoreNeedsPgRestore
from app.store.archive import DATABASE, DOCUMENTS, Contents, unpack, untold, writing
from app.store.database import Database, sqlite_file
from app.store.errors import is_of_the_database
from app.store.files import VERSION, alone_in, sync_folder, write_atomically
from app.store.migrations import upgrade_database
from app.store.tables import events, lost_claims, operations, steps, workers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from app.config import Settings
    from app.store.archive import Told

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
#: What says in its signature when it starts keeps its time, unless that has come.
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
    """About how many bytes a backup has to read."""
    paths = [path for _, path in _documents(settings.workflow_store)]
    if not only_documents and database.file:
        paths.append(database.file)
    return sum(path.stat().st_size for path in paths if path.exists())


def back_up(
    settings: Settings, database: Database, file: Path, *, only_documents: bool = False, tell: Told = untold
) -> Contents:
    """Write an archive of the database as it is at one moment, and of the documents; others go on meanwhile.

    What it is to `tell` is how many bytes it has read so far. No token is in it: the database holds digests of them,
    and DATA_DIR/token stays where it is. Raises FileExistsError, BackupNeedsPgDump.
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
            # After the database: a document is on the disk before a row points to it, and never changes.
            for name, path in _documents(settings.workflow_store):
                try:
                    archive.add(name, path)
                except FileNotFoundError:
                    continue  # pruned meanwhile: its operation has ended
        draft.replace(file)
    sync_folder(file.absolute().parent)
    return archive.contents


def restore(settings: Settings, file: Path, *, force: bool = False, tell: Told = untold) -> Contents:
    """Put the database and the documents of an archive in their places; every operation can go on from there.

    What it is to `tell` is how many bytes of the archive it has read so far. Steps that ran when the backup was made
    are queued again: nobody holds them here. Raises BackupUnusable, DatabaseInTheWay, DatabaseInUse,
    RestoreNeedsPgRestore, DatabaseTooNew.
    """
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with alone_in(settings.data_dir) as alone:
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
        _make_fit(file, folder / DATABASE, store)
        _make_way(target)
    for name in contents.documents:
        path = store / Path(name).relative_to(DOCUMENTS)
        write_atomically(path, (folder / name).read_bytes(), new_folders=2)
    if target and DATABASE in contents.files:
        (folder / DATABASE).replace(target)
        sync_folder(target.parent)


def _target(settings: Settings) -> Path | None:
    """The file of the database; none where it is no file."""
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


def _make_fit(file: Path, copy: Path, store: Path) -> None:
    """Bring a database that nobody else has open to the present schema, and to this place and moment."""
    database = Database(sqlite_url(copy))
    try:
        with database.read() as tx:
            if (said := tx.execute(text("PRAGMA quick_check")).scalars().first()) != "ok":
                raise BackupUnusable(file, f"its database is damaged ({said})")
        upgrade_database(database)
        with database.write() as tx:
            _hand_back(tx)
            _move_documents(tx, store)
    except Exception as why:
        if is_of_the_database(why):
            raise BackupUnusable(file, f"its database is damaged ({why})") from why
        raise
    finally:
        database.close()
    copy.chmod(0o600)


def _hand_back(tx: Connection) -> None:
    """Take every claim from its holder.

    The holders are workers of the service that was backed up, which may be alive beside this one: they must not be
    looked for, and not be stopped. A step whose message was sent there is published here at once.
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


def _make_way(target: Path) -> None:
    """Take away what belongs to the database that is replaced: its write-ahead log would be taken for the new one's."""
    if target.exists():
        database = Database(sqlite_url(target))
        try:
            with database.glance() as tx:
                driver: Any = tx.connection.driver_connection
                driver.execute("PRAGMA journal_mode = DELETE")  # refused while anybody else has the file open
        except Exception as why:
            if not is_of_the_database(why) or "locked" in str(why):
                raise DatabaseInUse(target) from why
        finally:
            database.close()
    for end in ("-wal", "-shm"):
        target.with_name(target.name + end).unlink(missing_ok=True)
