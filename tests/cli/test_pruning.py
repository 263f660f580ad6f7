"""`flask operations prune`: what ended long ago goes, with all that belongs to it; nothing else does."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, text

from pausable import clock
from pausable.db import prune as statements
from pausable.db.tables import workers
from pausable.service import prune
from tests.web.calling import everything
from tests.web.serving import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from pausable.db.database import Database
    from tests.cli.terminal import Terminal

DAY = 86400.0
#: Every table that tells of operations.
OF_OPERATIONS = ("operations", "steps", "edges", "events", "step_logs", "lost_claims")


@pytest.fixture
def ended(terminal: Terminal) -> Terminal:
    """1 is COMPLETED, 2 was paused and is CANCELLED, 3 FAILED; 4 is PAUSED, 5 waits."""
    start = terminal.start
    start("says", "words=done")
    terminal.served.deliver()
    for command, operation in [("pause", start("three")), ("cancel", "2")]:
        terminal.run("operations", command, operation)
    terminal.served.queue.flushdb()
    start("fails")
    for _ in range(2):
        terminal.served.deliver()
    terminal.run("operations", "pause", start("three"))
    start("three")
    return terminal


def later(terminal: Terminal, days: float, *words: str) -> str:
    """What prune says some days from now."""
    with clock.frozen_at(time.time() + days * DAY):
        return terminal.says("operations", "prune", *words)


def present(terminal: Terminal) -> list[str]:
    return [line.split()[0] for line in terminal.says("operations", "list").splitlines()[1:]]


def documents(terminal: Terminal) -> list[str]:
    return sorted(path.name for path in terminal.served.settings.workflow_store.iterdir())


def database(terminal: Terminal) -> Database:
    return terminal.served.commands.engine.database


def test_what_ended_long_ago_goes_with_all_that_belongs_to_it(ended: Terminal) -> None:
    said = later(ended, 31, "--older", "30d")

    assert said.startswith(
        "Took away 3 operations (1 CANCELLED, 1 COMPLETED, 1 FAILED), 7 steps, 1 folder of documents"
    )
    assert present(ended) == ["5", "4"]
    assert documents(ended) == ["4"]
    rows = everything(database(ended))
    assert {row[1 if table == "events" else 0] for table in OF_OPERATIONS for row in rows[table]} == {4, 5}


def test_what_ended_lately_stays(ended: Terminal) -> None:
    assert later(ended, 29, "--older", "30d").startswith("Took away 0 operations")

    assert present(ended) == ["5", "4", "3", "2", "1"]
    assert documents(ended) == ["2", "4"]


@pytest.mark.parametrize("age", ["5184000s", "86400m", "1440h", "60d", "8w"])
def test_an_age_has_a_unit(ended: Terminal, age: str) -> None:
    assert later(ended, 61, "--older", age, "--dry-run").startswith("Would take away 3 operations")
    assert later(ended, 55, "--older", age, "--dry-run").startswith("Would take away 0 operations")


@pytest.mark.parametrize("age", ["30", "d", "-1d", "1.5d", "30 d", "30D", "1y", "", "٣d", "9999999999d"])
def test_any_other_age_is_refused(ended: Terminal, age: str) -> None:
    refused = ended.refuses("operations", "prune", "--older", age, status=2)

    assert "is no length of time such as 90s, 45m, 12h, 30d or 8w." in refused


def test_only_the_completions_that_are_named_go(ended: Terminal) -> None:
    later(ended, 31, "--older", "30d", "--completion", "failed", "--completion", "completed")

    assert present(ended) == ["5", "4", "2"]


def test_what_has_not_ended_cannot_be_named(ended: Terminal) -> None:
    refused = ended.refuses("operations", "prune", "--older", "1d", "--completion", "paused", status=2)

    assert "PAUSED is no end: only COMPLETED, FAILED and CANCELLED operations can be pruned." in refused


def test_a_dry_run_takes_nothing(ended: Terminal) -> None:
    before = everything(database(ended))

    said = later(ended, 31, "--older", "30d", "--dry-run")

    assert said.startswith("Would take away 3 operations (1 CANCELLED, 1 COMPLETED, 1 FAILED), 1 worker, all ended")
    assert everything(database(ended)) == before
    assert documents(ended) == ["2", "4"]


def test_documents_that_a_crash_left_behind_go_with_the_next_run(
    ended: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as crashing:
        crashing.setattr(prune, "_remove_folders", crash)
        with clock.frozen_at(time.time() + 31 * DAY):
            ended.run("operations", "prune", "--older", "30d", status=1)
    assert (present(ended), documents(ended)) == (["5", "4"], ["2", "4"])

    assert "1 folder of documents" in later(ended, 31, "--older", "30d")

    assert documents(ended) == ["4"]


def test_the_document_of_an_import_under_way_is_left_alone(ended: Terminal) -> None:
    later(ended, 31, "--older", "30d")
    under_way = ended.served.settings.workflow_store / "2" / "1"
    under_way.mkdir(parents=True)

    ended.says("operations", "prune", "--older", "30d")
    assert under_way.is_dir()

    later(ended, 2, "--older", "30d")
    assert documents(ended) == ["4"]


def test_documents_that_a_newer_one_has_replaced_go_after_a_day(ended: Terminal) -> None:
    for _ in range(3):
        ended.run("operations", "rebuild", "4")
    folder = ended.served.settings.workflow_store / "4"
    many = len(list(folder.iterdir()))
    assert many == 4

    ended.says("operations", "prune", "--older", "30d")
    assert len(list(folder.iterdir())) == many

    later(ended, 2, "--older", "30d")
    assert len(list(folder.iterdir())) == 1
    ended.run("operations", "resume", "4")


def keep_results(terminal: Terminal, *folders: str) -> tuple[str, Callable[[], list[str]]]:
    """Lay a result into each of these folders; returns the installation's name, and what tells which are left."""
    store = Path(terminal.served.settings.results)
    with database(terminal).read() as tx:
        name = tx.execute(text("SELECT name FROM installation")).scalar_one()
    for folder in folders:
        kept = store / ".operations" / folder.format(name)
        kept.mkdir(parents=True)
        (kept / "load.json").touch()

    def left() -> list[str]:
        root = store / ".operations"
        return sorted(str(path.parent.relative_to(root)).replace(name, "own") for path in root.rglob("load.json"))

    return name, left


def test_results_go_with_their_operation_unless_they_are_of_another_installation(ended: Terminal) -> None:
    _, left = keep_results(ended, "{}/1", "{}/3", "another/1", "1")

    later(ended, 31, "--older", "30d")

    assert left() == ["1", "another/1"]


def test_what_was_exported_stays_with_its_results_for_as_long_as_is_asked(ended: Terminal) -> None:
    _, left = keep_results(ended, "{}/1", "{}/2", "{}/3")
    for operation in ("1", "2", "3"):
        ended.run("operations", "export", operation)

    with clock.frozen_at(time.time() + 89 * DAY):
        said = ended.run("operations", "prune", "--older", "30d")
    assert said.stdout.startswith("Took away 0 operations")
    assert "3 operations stayed: exported since" in said.stderr
    assert (present(ended), left()) == (["5", "4", "3", "2", "1"], ["own/1", "own/2", "own/3"])

    assert later(ended, 89, "--older", "30d", "--exported", "90d").startswith("Took away 0")
    assert later(ended, 91, "--older", "30d").startswith("Took away 3 operations")
    assert (present(ended), left()) == (["5", "4"], [])


def test_an_export_counts_from_the_last_time(ended: Terminal) -> None:
    for days in (0, 60):
        with clock.frozen_at(time.time() + days * DAY):
            ended.run("operations", "export", "1")

    assert later(ended, 91, "--older", "30d", "--completion", "completed").startswith("Took away 0")
    assert later(ended, 91, "--older", "30d", "--completion", "completed", "--exported", "1d").startswith("Took away 1")


def test_what_has_gone_on_here_as_another_operation_stays_until_that_one_goes(ended: Terminal) -> None:
    name, left = keep_results(ended, "{}/1")
    with database(ended).write() as tx:
        tx.execute(text("UPDATE operations SET origin = :origin, slice = 1 WHERE id = 3"), {"origin": f"{name}/1"})

    assert later(ended, 31, "--older", "30d", "--completion", "completed").startswith("Took away 0")
    assert later(ended, 31, "--older", "30d", "--completion", "failed").startswith("Took away 1")
    assert later(ended, 31, "--older", "30d", "--completion", "completed").startswith("Took away 1")
    assert left() == []


def test_folders_that_no_operation_here_ever_had_are_left_alone(ended: Terminal) -> None:
    store = ended.served.settings.workflow_store
    for name in ("99", "notes", "007", "9" * 30):
        (store / name).mkdir()

    later(ended, 31, "--older", "30d")

    assert documents(ended) == sorted(["007", "4", "99", "9" * 30, "notes"])


def test_a_folder_that_cannot_be_removed_is_named_and_the_rest_goes(ended: Terminal, tmp_path: Path) -> None:
    store = ended.served.settings.workflow_store
    (store / "2").rename(tmp_path / "elsewhere")
    (store / "2").symlink_to(tmp_path / "elsewhere")

    with clock.frozen_at(time.time() + 31 * DAY):
        refused = ended.run("operations", "prune", "--older", "30d", status=1)

    assert f"{store.absolute() / '2'} could not be removed: " in refused.stderr
    assert present(ended) == ["5", "4"]
    assert any((tmp_path / "elsewhere").iterdir())


def test_a_large_operation_goes_in_parts(ended: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    few = 2
    monkeypatch.setattr(prune, "ROWS", few)
    monkeypatch.setattr(statements, "_PARTS", [(table, few) for table, _ in statements._PARTS])
    thinned: list[bool] = []

    def counted(*given: Any) -> bool:
        thinned.append(statements.thin_out(*given))
        return thinned[-1]

    monkeypatch.setattr(prune, "thin_out", counted)

    later(ended, 31, "--older", "30d")

    assert present(ended) == ["5", "4"]
    assert {row[0] for row in everything(database(ended))["steps"]} == {4, 5}
    assert thinned.count(True) >= 7


def test_workers_go_that_ended_long_ago_and_that_nothing_refers_to(ended: Terminal) -> None:
    now = time.time()
    with database(ended).write() as tx:
        for row in [
            (101, now, None),
            (102, None, now),
            (103, None, None),
            (104, now, None),
            (105, now + 9 * DAY, None),
        ]:
            key, stopped, lost = row
            process = {"id": key, "host": "a", "boot_id": "b", "pid": key, "start_time": 0}
            beats = {"heartbeat": 0, "seen_at": 0, "stopped_at": stopped, "lost_at": lost}
            tx.execute(insert(workers), process | beats)
        tx.execute(text("UPDATE steps SET worker_id = 104 WHERE operation_id = 5 AND number = 0"))

    assert "3 workers" in later(ended, 9, "--older", "1w")  # the program that ran the steps here is one

    assert [row[0] for row in everything(database(ended))["workers"]] == [103, 104, 105]


def test_a_bar_fills_on_a_terminal(ended: Terminal) -> None:
    with ended.seated("operations", "prune", "--older", "0s") as seat:
        seat.wait_for("of 3 operations")
        seat.wait_for("Took away 3 operations")

        assert seat.status() == 0
    wait_for(lambda: present(ended) == ["5", "4"])
