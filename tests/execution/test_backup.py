"""A backup made in the middle of everything: what is restored elsewhere goes on to the right results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pausable.config import Settings
from pausable.db.backup import back_up, restore
from pausable.db.database import Database
from pausable.errors import BackupNeedsPgDump, RestoreNeedsPgRestore
from pausable.model.states import Completion, StepState
from tests.databases import on_sqlite_alone
from tests.execution.flows import lines_of
from tests.execution.pausing import in_database
from tests.execution.service import Service, make_service
from tests.web.serving import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

if TYPE_CHECKING:
    ByHand = Callable[..., Service]


@pytest.fixture
def restored_in(broker_url: str, tmp_path: Path) -> Iterator[Callable[[Path], Service]]:
    """Restore a backup to a service of its own."""
    made: list[Service] = []

    def restore_to(file: Path) -> Service:
        folder, url = tmp_path / "elsewhere", in_database(broker_url, 4)
        restore(Settings(data_dir=folder, broker_url=url), file)
        made.append(make_service(folder, url))
        made[0].queue.flushdb()
        return made[0]

    yield restore_to
    for service in made:
        service.close()


@on_sqlite_alone
def test_what_ran_when_the_backup_was_made_runs_again_elsewhere(
    by_hand: ByHand, restored_in: Callable[[Path], Service], tmp_path: Path
) -> None:
    here = by_hand(slice_steps=1)
    gate = here.path()
    with here.working() as worker:
        paused = in_the_middle_of_everything(here, gate)
        back_up(here.settings, here.engine.database, tmp_path / "backup")

        there = restored_in(tmp_path / "backup")
        with there.at_work(), there.working():
            Path(gate).touch()
            for one in paused:
                wait_for(lambda one=one: there.completion(one) is Completion.PAUSED)  # type: ignore[misc]
                there.resume(one)
            results = [there.ended(one).result for one in range(1, 24)]

        assert results == ["31", "1", "1", *(str(number + 110) for number in range(20))]
        assert worker.poll() is None, "the worker of the service that was backed up was ended"


def in_the_middle_of_everything(service: Service, gate: str) -> tuple[int, int]:
    """One operation is PAUSED, one waits to be, one runs, 20 begin or have ended; the first two of them."""
    paused = service.start("adding", numbers=[1, *([1] * 30)])
    service.pause(paused)
    wait_for(lambda: service.completion(paused) is Completion.PAUSED)
    pausing, running = (service.start("gates", gates=[gate, gate]) for _ in range(2))
    for one in (pausing, running):
        wait_for(lambda one=one: service.states(one)["wait_at-1"] is StepState.RUNNING)  # type: ignore[misc]
    service.pause(pausing)
    for number in range(20):
        service.start("adding", numbers=[number, 10, 100])
    return paused, pausing


@on_sqlite_alone
def test_a_claim_from_before_the_backup_is_none_where_it_was_restored(
    by_hand: ByHand, restored_in: Callable[[Path], Service], tmp_path: Path
) -> None:
    here = by_hand(slice_steps=1)
    operation = here.start("adding", numbers=[1, 2])
    here.engine.enter()
    held = "state = 'Running', claim = 4, process = 7, worker_id = (SELECT id FROM workers)"
    here.change(f"UPDATE steps SET {held} WHERE number = 0")  # noqa: S608
    back_up(here.settings, here.engine.database, tmp_path / "backup")

    there = restored_in(tmp_path / "backup")

    with there.engine.database.glance() as tx:
        driver = tx.connection.driver_connection
        assert driver
        row = driver.execute("SELECT state, claim, process, losses FROM steps WHERE number = 0").fetchone()
    assert tuple(row) == ("Queued", 5, None, 0)
    told = there.commands.events(there.ada, operation)[-1]
    assert (told.who, told.step, told.old, told.new, told.why) == (
        "restore", "same", "Running", "Queued", "restored from a backup",
    )  # fmt: skip


@on_sqlite_alone
def test_a_countdown_goes_on_after_a_restore(
    by_hand: ByHand, restored_in: Callable[[Path], Service], tmp_path: Path
) -> None:
    here = by_hand()
    operation = here.start("adding", numbers=[1, 2])
    here.change(
        """UPDATE steps SET due_at = 1e12, signature = '{"task":"t","options":{"countdown":60}}' WHERE number = 0"""
    )
    back_up(here.settings, here.engine.database, tmp_path / "backup")

    there = restored_in(tmp_path / "backup")

    assert there.steps(operation)["same"].due_at == 1e12


@on_sqlite_alone
def test_postgresql_is_left_to_its_own_programs(by_hand: ByHand, tmp_path: Path) -> None:
    here = by_hand()
    elsewhere = Settings(data_dir=tmp_path / "other", database_url="postgresql://nobody@127.0.0.1:1/none")

    with pytest.raises(BackupNeedsPgDump, match="pg_dump"):
        back_up(elsewhere, Database(elsewhere.database_url), tmp_path / "backup")
    back_up(here.settings, here.engine.database, tmp_path / "backup")
    with pytest.raises(RestoreNeedsPgRestore, match="pg_restore"):
        restore(elsewhere, tmp_path / "backup")


def test_documents_are_restored_beside_postgresql(by_hand: ByHand, tmp_path: Path) -> None:
    here = by_hand()
    operation = here.start("adding", numbers=[1, 2])
    here.pause(operation)
    elsewhere = Settings(data_dir=tmp_path / "other", database_url="postgresql://nobody@127.0.0.1:1/none")
    back_up(here.settings, here.engine.database, tmp_path / "backup", only_documents=True)

    restore(elsewhere, tmp_path / "backup")

    written = next(elsewhere.workflow_store.rglob("workflow.json"))
    assert lines_of(str(written)) == lines_of(here.show(operation).workflow_store or "")
