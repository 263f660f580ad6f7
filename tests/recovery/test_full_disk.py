"""A full disk: a pause whose workflow.json finds no room waits for it and says so, and so does what a step returned."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pausable.model.states import Completion
from tests.execution.pausing import in_database
from tests.execution.service import Service, make_service, wait_for
from tests.recovery.flows import lines_of
from tests.recovery.mortal import start_worker

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of the test's own with 8 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here ({mounted.stderr.strip()})")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def working(broker_url: str, folder: Path, **settings: Any) -> Iterator[Service]:
    broker = in_database(broker_url, 8)
    service = make_service(folder, broker, lease=1.5, flows=("tests.recovery.flows",), **settings)
    service.queue.flushdb()
    with service.at_work(), ExitStack() as workers:
        workers.callback(start_worker(service).bury)
        yield service
    service.close()


def fill(disk: Path) -> Path:
    """A file that takes all the room there is."""
    file = disk / "full"
    with file.open("wb", buffering=0) as full:
        while (left := os.statvfs(disk).f_bavail) > 0:
            full.write(b"\0" * 4096 * left)
    return file


def test_a_pause_whose_document_the_full_disk_does_not_take_takes_effect_once_there_is_room(
    broker_url: str, tmp_path: Path, disk: Path
) -> None:
    with working(broker_url, tmp_path / "data", workflow_store=disk / "operations") as service:
        ledger, gate = service.path(), service.path()
        operation = service.start("held", ledger=ledger, gate=gate)
        wait_for(lambda: len(lines_of(ledger)) == 1)
        in_the_way = fill(disk)

        service.pause(operation, reason="for the night")
        Path(gate).touch()

        fault = "for the night; it cannot pause yet: workflow.json could not be written (No space left on device)"
        wait_for(lambda: service.show(operation).reason == fault)
        assert service.completion(operation) is Completion.REQUESTING_PAUSE
        assert not list(disk.rglob("*.json"))
        in_the_way.unlink()
        assert service.wait_until(operation, Completion.PAUSED).reason == "for the night"
        service.resume(operation)
        assert service.ended(operation).result == "3"


def test_what_a_step_returned_while_the_databases_disk_was_full_is_recorded_once_there_is_room(
    broker_url: str, tmp_path: Path, disk: Path
) -> None:
    with working(broker_url, tmp_path / "data", database_url=f"sqlite:///{disk}/operations.db") as service:
        ledger, gate = service.path(), service.path()
        operations = [service.start("held", ledger=ledger, gate=gate) for _ in range(6)]
        wait_for(lambda: len(lines_of(ledger)) == 2)
        in_the_way = fill(disk)

        Path(gate).touch()
        wait_for(lambda: "the database cannot be reached" in (tmp_path / "data" / "worker.log").read_text())
        in_the_way.unlink()

        assert [service.ended(operation).result for operation in operations] == ["3"] * 6
        assert len(lines_of(ledger)) == 6
        assert service.read("SELECT DISTINCT runs, losses FROM steps") == [(1, 0)]
        assert service.read("PRAGMA integrity_check") == [("ok",)]
