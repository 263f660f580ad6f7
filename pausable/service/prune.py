"""Taking away operations that ended long ago, in small transactions, while everything else goes on.

Documents go after the commit that took their operation away. What a crash leaves there is found by the next run: a
folder of documents without an operation.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from pausable import clock
from pausable.db.bulks import delete_bulks
from pausable.db.files import VERSION
from pausable.db.prune import (
    ROWS,
    Old,
    Weighed,
    count_kept,
    count_old,
    delete_old,
    delete_workers,
    documents_of,
    ended_workers,
    oldest,
    thin_out,
    unknown_ids,
)
from pausable.engine.checkpoints import installation_of
from pausable.results.references import folder_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pausable.db.database import Connection
    from pausable.engine.engine import Engine
    from pausable.model.states import Completion

T = TypeVar("T")

#: Operations that are looked up at a time.
_AT_ONCE: Final = 1000
#: Seconds between two transactions at the most.
_LONGEST_REST: Final = 0.1
#: Seconds in which a folder may belong to what is still under way.
_ONE_DAY: Final = 86400.0
#: Keys of the database have fewer digits than this.
_DIGITS: Final = 19


@dataclass(slots=True)
class Pruned:
    """What was taken away, or would be: operations by completion, their steps, folders of documents, workers."""

    operations: Counter[Completion] = field(default_factory=Counter)
    steps: int = 0
    documents: int = 0
    workers: int = 0
    #: Operations that ended as long ago, and stay as others may refer to their results.
    kept: int = 0
    #: Folders that could not be removed, and why.
    stuck: dict[Path, str] = field(default_factory=dict)


def prunable(engine: Engine, old: Old) -> Pruned:
    """What `prune` would take away; steps and documents are not counted."""
    with engine.database.read() as tx:
        idle = ended_workers(tx, old.before)
        return Pruned(Counter(count_old(tx, old)), workers=len(idle), kept=count_kept(tx, old))


def prune(engine: Engine, old: Old, tell: Callable[[int], None]) -> Pruned:
    """Take away the operations that are meant, and `tell` how many are gone; safe to interrupt, and to run again."""
    pruned = Pruned()
    while found := _next(engine, old):
        before = pruned.operations.total()
        for batch in _batches(found):
            _take(engine, old, batch, pruned)
            tell(pruned.operations.total())
        if pruned.operations.total() == before:
            break  # all that is left is in somebody's hands
    _remove_folders(_orphans(engine), pruned)
    _remove_folders(_superseded(engine), pruned)
    with engine.database.read() as tx:
        idle = ended_workers(tx, old.before)
        pruned.kept = count_kept(tx, old)
    delete_workers(engine.database, idle)
    _alone(engine, lambda tx: delete_bulks(tx, old.before))
    pruned.workers = len(idle)
    return pruned


def _next(engine: Engine, old: Old) -> list[Weighed]:
    with engine.database.read() as tx:
        return oldest(tx, old, _AT_ONCE)


def _batches(found: Iterable[Weighed]) -> Iterator[list[Weighed]]:
    """As many operations at a time as have few rows together; a large one alone."""
    batch: list[Weighed] = []
    for one in found:
        if batch and sum(each.rows for each in batch) + one.rows > ROWS:
            yield batch
            batch = []
        batch.append(one)
    yield batch


def _take(engine: Engine, old: Old, batch: list[Weighed], pruned: Pruned) -> None:
    for one in batch:
        while one.rows > ROWS and _alone(engine, lambda tx, one=one: thin_out(tx, old, one)):  # type: ignore[misc]
            pass
    gone = _alone(engine, lambda tx: delete_old(tx, old, [one.id for one in batch]))
    for one in batch:
        if one.id in gone:
            pruned.operations[one.completion] += 1
            pruned.steps += one.steps
    _remove_folders((engine.workflow_store / str(one) for one in gone), pruned)
    for operation_id in gone:
        _remove_results(engine, operation_id, pruned)


def _remove_results(engine: Engine, operation_id: int, pruned: Pruned) -> None:
    """Remove what the service itself has put into the store; what authors named stays."""
    folder = folder_of(installation_of(engine.database), operation_id)
    try:
        engine.results.remove_all(folder)
    except Exception as why:  # a store may raise anything
        pruned.stuck[Path(engine.results.place(folder))] = str(why)


def _alone(engine: Engine, work: Callable[[Connection], T]) -> T:
    """Run a short transaction, and then leave the writers' lock to others for as long as it took to get and to use."""
    begun = clock.monotonic()
    # A power cut may undo it: then the next run takes it again.
    with engine.database.write(survives_power_cut=False) as tx:
        result = work(tx)
    time.sleep(min(clock.monotonic() - begun, _LONGEST_REST))
    return result


def _orphans(engine: Engine) -> list[Path]:
    """Folders of operations that are gone.

    They are listed before the table is asked, as a row is there before its folder. Only for an import the folder is
    there first, so what is younger than a day is left alone.
    """
    folders = _folders(engine.workflow_store)
    with engine.database.read() as tx:
        unknown = unknown_ids(tx, folders)
    return [folders[one] for one in sorted(unknown) if _is_aged(folders[one])]


def _superseded(engine: Engine) -> Iterator[Path]:
    """Yield the folders of documents that an edit, a rebuild or another pause has put a newer one in the place of.

    They stay for a day: a backup that is being made may hold a row that points to one.
    """
    folders = _folders(engine.workflow_store)
    for some in _in_batches(sorted(folders)):
        several = {one: versions for one in some if len(versions := _versions(folders[one])) > 1}
        with engine.database.read() as tx:
            present = documents_of(tx, several)
        for one, place in present.items():
            yield from (version for version in several[one] if Path(place or "").parent != version)


def _folders(store: Path) -> dict[int, Path]:
    return {int(path.name): path for path in store.iterdir() if _is_key(path.name)} if store.is_dir() else {}


def _versions(folder: Path) -> list[Path]:
    """The folders of an operation's documents that are older than a day."""
    try:
        return [path for path in folder.iterdir() if VERSION.fullmatch(path.name) and _is_aged(path)]
    except OSError:
        return []


def _is_aged(folder: Path) -> bool:
    try:
        return folder.stat().st_mtime < clock.now() - _ONE_DAY
    except OSError:
        return False


def _in_batches(ids: list[int]) -> Iterator[list[int]]:
    return (ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE))


def _is_key(name: str) -> bool:
    return name.isascii() and name.isdecimal() and len(name) < _DIGITS and name == str(int(name))


def _remove_folders(folders: Iterable[Path], pruned: Pruned) -> None:
    for folder in folders:
        try:
            shutil.rmtree(folder)
            pruned.documents += 1
        except FileNotFoundError:
            pass  # it was never paused
        except OSError as why:
            pruned.stuck[folder] = why.strerror or str(why)
