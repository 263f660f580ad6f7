"""A disk that is full when workflow.json is written: the pause waits for room, and says so."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from app.domain.states import Completion
from tests.execution.pausing import in_database
from tests.execution.service import Service, make_service, wait_for
from tests.recovery.flows import lines_of
from tests.recovery.mortal import start_worker

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of the test's own with 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here ({mounted.stderr.strip()})")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def service(broker_url: str, tmp_path: Path, disk: Path) -> Iterator[Service]:
    """A service that keeps its documents on that disk, with a worker."""
    broker = in_database(broker_url, 7)
    flows = ("tests.recovery.flows",)
    service = make_service(tmp_path / "data", broker, lease=1.5, flows=flows, workflow_store=disk / "operations")
    service.queue.flushdb()
    with service.at_work():
        worker = start_worker(service)
        yield service
        worker.bury()
    service.close()


def fill(disk: Path) -> Path:
    """A file that takes all the room there is."""
    file = disk / "full"
    with file.open("wb", buffering=0) as full:
        while (left := os.statvfs(disk).f_bavail) > 0:
            full.write(b"\0" * 4096 * left)
    return file


def test_a_pause_whose_document_the_full_disk_does_not_take_takes_effect_once_there_is_room(
    service: Service, disk: Path
) -> None:
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
