"""Operations that older versions left behind go on: rows and documents as those versions wrote them."""

from __future__ import annotations

import json
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pausable.config import Settings
from pausable.db.backup import restore, writing
from pausable.model.states import Completion
from tests.execution.pausing import in_database
from tests.execution.service import Service, make_service
from tests.web.serving import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST = Path(__file__).parent / "0001"
#: The operations of the first version: each adds 9 to 1, 10, 100 and so on.
PAUSED, QUEUED, RUNNING, PAUSING, COMPLETED = range(1, 6)


def lay(folder: Path, store: Path) -> Path:
    """A database and a document as the first version left them."""
    folder.mkdir(exist_ok=True)
    file = folder / "operations.db"
    connection = sqlite3.connect(file)
    connection.executescript((FIRST / "database.sql").read_text().replace("{store}", str(store.absolute())))
    connection.close()
    document = store / "1" / "7" / "workflow.json"
    document.parent.mkdir(parents=True)
    shutil.copy(FIRST / "workflow.json", document)
    return file


@dataclass
class Upgraded:
    """The first version's folder, run by this version; and where its operations stood before a worker began."""

    service: Service
    stood: list[Completion]


@pytest.fixture(scope="module")
def upgraded(broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    folder = tmp_path_factory.mktemp("upgraded")
    lay(folder, folder / "operations")
    service = make_service(folder, in_database(broker_url, 8), lease=1.5)
    service.queue.flushdb()
    stood = [service.completion(one) for one in range(1, 6)]
    with service.at_work(), service.working():
        wait_for(lambda: service.completion(QUEUED) is Completion.COMPLETED)  # with patience: a worker starts
        yield Upgraded(service, stood)
    service.close()


def total(service: Service, operation: int) -> int:
    """What an operation has added up to, once it has ended."""
    ended = service.ended(operation)
    assert ended.completion is Completion.COMPLETED, ended
    found: int = json.loads(ended.result or "null")["total"]
    return found


def test_an_upgrade_leaves_operations_where_they_stood(upgraded: Upgraded) -> None:
    assert upgraded.stood == ["PAUSED", "IN PROGRESS", "IN PROGRESS", "REQUESTING PAUSE", "COMPLETED"]
    assert upgraded.service.completion(PAUSED) is Completion.PAUSED


def test_a_paused_operation_is_resumed_and_completed(upgraded: Upgraded) -> None:
    upgraded.service.resume(PAUSED)

    assert total(upgraded.service, PAUSED) == 10


def test_what_was_queued_goes_on_and_what_had_completed_stays(upgraded: Upgraded) -> None:
    assert total(upgraded.service, QUEUED) == 19
    assert total(upgraded.service, COMPLETED) == 10009


def test_what_ran_in_a_worker_that_is_gone_goes_on(upgraded: Upgraded) -> None:
    assert total(upgraded.service, RUNNING) == 109
    assert upgraded.service.steps(RUNNING)["add_two"].losses == 1


def test_a_pause_that_waited_for_a_worker_that_is_gone_takes_effect(upgraded: Upgraded) -> None:
    upgraded.service.wait_until(PAUSING, Completion.PAUSED)
    upgraded.service.resume(PAUSING)

    assert total(upgraded.service, PAUSING) == 1009


def test_a_backup_of_the_first_version_is_restored_at_the_present_schema(broker_url: str, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    with writing(tmp_path / "backup", made_at=0) as archive:
        archive.add("operations.db", lay(old, old / "operations"))
        archive.add("documents/1/7/workflow.json", old / "operations" / "1" / "7" / "workflow.json")
    url = in_database(broker_url, 8)

    restore(Settings(data_dir=new, broker_url=url), tmp_path / "backup")

    service = make_service(new, url)
    service.queue.flushdb()
    with service.at_work(), service.working():
        wait_for(lambda: service.completion(PAUSING) is Completion.PAUSED)
        for paused in (PAUSED, PAUSING):
            service.resume(paused)
        assert [total(service, one) for one in range(1, 6)] == [10, 19, 109, 1009, 10009]
    service.close()
