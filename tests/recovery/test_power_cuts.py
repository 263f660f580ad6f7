"""Power cuts: what is on the disk at any moment opens clean, and every operation in it goes on to the right result."""

from __future__ import annotations

import shutil
import struct
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from pausable.db.database import Database
from pausable.errors import MoveRefused, VersionPassed
from pausable.model.states import Completion
from pausable.processes import is_stopped
from tests.execution.pausing import in_database
from tests.execution.service import Service, make_service, wait_for
from tests.recovery.mortal import Mortal, start_worker

if TYPE_CHECKING:
    from collections.abc import Iterator

OPERATIONS = 90
CUTS = 5


def stop(worker: Mortal) -> None:
    """Stop the worker and its pool, and wait until all of them stand still."""
    worker.stop()
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    wait_for(lambda: all(is_stopped(pid) for pid in (worker.pid, *map(int, children))))


def cut_power(data_dir: Path, worker: Mortal, to: Path, random: Random, *, keeps_all: bool) -> None:
    """Copy what a power cut at this moment would leave of the database and the documents.

    Nobody writes meanwhile. Of the write-ahead log a random part is left, as if the rest had not reached the disk.
    """
    stop(worker)
    try:
        shutil.copytree(data_dir, to, ignore=shutil.ignore_patterns("worker.log", "*.lock"))
    finally:
        worker.go_on()
    shm, wal = to / "operations.db-shm", to / "operations.db-wal"
    if wal.exists() and not keeps_all:
        least = safe_length(shm.read_bytes(), wal.read_bytes())
        with wal.open("r+b") as file:
            file.truncate(random.randint(min(least, wal.stat().st_size), wal.stat().st_size))
    shm.unlink(missing_ok=True)  # it lives in memory alone


def safe_length(shm: bytes, wal: bytes) -> int:
    """How many bytes of the log were on the disk for certain: a checkpoint syncs what it copies (sqlite.org/walformat).

    A log that was about to be begun anew is left whole: the database holds all that is in it.
    """
    if len(wal) < 32 or shm[32:40] != wal[16:24]:
        return len(wal)
    page_size = struct.unpack(">I", wal[8:12])[0]
    copied = max(struct.unpack("=I", shm[96:100])[0], struct.unpack("=I", shm[128:132])[0])
    return 32 + int(copied) * (24 + int(page_size))


def numbers_of(number: int) -> list[int]:
    return list(range(number % 17, number % 17 + 12))


def keep_busy(service: Service, random: Random) -> Iterator[int]:
    """Start operations, pause and resume some at random; yields how many were started, each time one was."""
    started: list[int] = []
    for number in range(1, OPERATIONS + 1):
        started.append(service.start("sums", numbers=numbers_of(number)))
        assert started[-1] == number
        for command in (service.pause, service.pause, service.resume):
            with suppress(MoveRefused, VersionPassed):  # it has ended, or ends now
                command(random.choice(started[-12:]))
        yield number


def rows_that_are_harmed(file: Path) -> list[tuple[object, ...]]:
    """What SQLite's own checks find."""
    database = Database(f"sqlite:///{file}")
    with database.read() as tx:
        checks = ("PRAGMA integrity_check", "PRAGMA foreign_key_check")
        found = [tuple(row) for check in checks for row in tx.exec_driver_sql(check)]
    database.close()
    return [row for row in found if row != ("ok",)]


def harm_what_no_row_points_to(service: Service, random: Random) -> None:
    """Cut the documents short of which no row tells: they need not have been on the disk yet."""
    pointed_to = {row[0] for row in service.read("SELECT workflow_store FROM operations")}
    for document in service.settings.workflow_store.rglob("*"):
        if document.is_file() and str(document) not in pointed_to:
            with document.open("r+b") as file:
                file.truncate(random.randint(0, document.stat().st_size))


def go_on(service: Service) -> dict[int, str | None]:
    """Let a worker bring every operation to its end; the results of all that completed."""

    def has_ended() -> bool:
        for (paused,) in service.read("SELECT id FROM operations WHERE completion = 'PAUSED'"):
            service.resume(paused)
        return not service.read("SELECT 1 FROM operations WHERE completion NOT IN ('COMPLETED', 'FAILED') LIMIT 1")

    worker = start_worker(service)
    try:
        wait_for(has_ended)
    finally:
        worker.bury()
    found = service.read("SELECT id, result FROM operations WHERE completion = ?", Completion.COMPLETED)
    return {number: result for number, result in found}


def made(folder: Path, broker_url: str) -> Service:
    service = make_service(folder, in_database(broker_url, 8), lease=1.5, flows=("tests.recovery.flows",))
    service.queue.flushdb()
    return service


def cut_at_random(service: Service, folder: Path, random: Random) -> dict[Path, int]:
    """Run the service and take copies of it; how many operations each must hold, as far as that can be known."""
    moments = sorted(random.sample(range(10, OPERATIONS), CUTS))
    cuts: dict[Path, int] = {}
    worker = start_worker(service)
    try:
        for number in keep_busy(service, random):
            if number in moments:
                keeps_all = len(cuts) % 2 == 0
                to = folder / f"cut-{number}"
                cut_power(service.settings.data_dir, worker, to, random, keeps_all=keeps_all)
                cuts[to] = number if keeps_all else 0
    finally:
        worker.bury()  # before any copy is used: there, these processes still hold claims
    return cuts


def test_whatever_a_power_cut_leaves_opens_clean_and_every_operation_in_it_goes_on(
    broker_url: str, tmp_path: Path
) -> None:
    seed = Random().randrange(10**9)
    print("seed", seed)  # noqa: T201
    random, data_dir = Random(seed), tmp_path / "data"
    service = made(data_dir, broker_url)
    with service.at_work():
        cuts = cut_at_random(service, tmp_path, random)
    service.close()

    for cut, accepted in cuts.items():
        shutil.rmtree(data_dir)
        shutil.move(cut, data_dir)
        assert rows_that_are_harmed(data_dir / "operations.db") == []
        service = made(data_dir, broker_url)
        with service.at_work():
            harm_what_no_row_points_to(service, random)
            there = [row[0] for row in service.read("SELECT id FROM operations")]
            assert len(there) >= accepted
            assert go_on(service) == {number: str(sum(numbers_of(number))) for number in there}
        service.close()
