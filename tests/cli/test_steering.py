"""The commands that change operations, on a real database; what a worker would do, the tests do themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pausable.db.claims import Kept, keep_place

if TYPE_CHECKING:
    from tests.cli.terminal import Terminal


def test_an_operation_is_accepted_and_waits_for_a_worker(terminal: Terminal) -> None:
    said = terminal.run("operations", "start", "three", "value=7")

    assert said.stdout == "Operation 1 is accepted and waits for a worker.\n"
    assert said.stderr == "`flask operations watch 1` follows it.\n"
    assert terminal.completion("1") == "SCHEDULED"


def test_the_oldest_admin_is_the_requester_unless_somebody_is_named(terminal: Terminal) -> None:
    terminal.run("operations", "start", "three")
    terminal.run("operations", "start", "three", "--user", "bob")

    _, *rows = terminal.says("operations", "list").splitlines()

    assert [row.split()[4] for row in rows] == ["bob", "ada"]


def test_arguments_come_as_pairs_and_as_json(terminal: Terminal) -> None:
    terminal.run("operations", "start", "gate", "after=3", "--arguments", '{"gate": "x"}')

    assert '{"gate": "x", "after": 3}' in terminal.says("operations", "show", "1")


def test_an_operation_is_paused_at_once_where_nothing_runs(terminal: Terminal) -> None:
    started = terminal.start("three")

    said = terminal.run("operations", "pause", started, "--reason", "before the deploy")

    assert said.stdout == "Operation 1 is PAUSED; 0 of 3 steps, 0 %; reason: before the deploy.\n"
    assert said.stderr == "`flask operations resume 1` lets it go on.\n"
    assert "before the deploy" in terminal.says("operations", "events", started)


def test_a_pause_names_the_step_that_it_waits_for(terminal: Terminal) -> None:
    started = terminal.start("three")
    terminal.served.claim(started)

    said = terminal.says("operations", "pause", started)

    assert said.startswith("Operation 1 is REQUESTING PAUSE; 0 of 3 steps, 0 %; running: give-1 (")


def test_to_wait_for_a_pause_in_vain_is_told_by_the_exit_status(terminal: Terminal) -> None:
    started = terminal.start("three")
    terminal.served.claim(started)

    said = terminal.refuses("operations", "pause", started, "--wait", "0.1")

    assert said.startswith("Error: Not PAUSED after 0.1 s: Operation 1 is REQUESTING PAUSE;")
    assert terminal.completion(started) == "REQUESTING PAUSE"


def test_to_wait_for_a_pause_that_took_effect_succeeds(terminal: Terminal) -> None:
    started = terminal.start("three")
    terminal.run("operations", "pause", started)

    assert terminal.says("operations", "pause", started, "--wait", "5").startswith("Operation 1 is PAUSED;")


def test_a_paused_operation_is_resumed(terminal: Terminal) -> None:
    started = terminal.start("three")
    terminal.run("operations", "pause", started)

    said = terminal.says("operations", "resume", started, "--reason", "the disk is back")

    assert said == "Operation 1 is IN PROGRESS; 0 of 3 steps, 0 %.\n"
    assert "the disk is back" in terminal.says("operations", "events", started)


def test_an_operation_is_cancelled(terminal: Terminal) -> None:
    started = terminal.start("three")

    said = terminal.run("operations", "cancel", started, "--reason", "a mistake")

    assert (said.stdout, said.stderr) == ("Operation 1 is CANCELLED.\n", "")
    assert "a mistake" in terminal.says("operations", "events", started)


def test_a_failed_operation_goes_on_from_its_failed_step(terminal: Terminal) -> None:
    started = terminal.start("fails")
    for _ in range(2):
        terminal.served.deliver()

    said = terminal.says("operations", "retry", started, "--reason", "it is mended")

    assert said == "Operation 1 is IN PROGRESS; 1 of 3 steps, 33 %.\n"
    assert "it is mended" in terminal.says("operations", "events", started)


def test_an_operation_that_has_not_failed_is_not_retried(terminal: Terminal) -> None:
    said = terminal.refuses("operations", "retry", terminal.start("three"))

    assert said == "Error: Operation 1 is SCHEDULED: it cannot become retried: only a FAILED one has failed steps.\n"


@pytest.mark.parametrize(("first", "again"), [("pause", "pause"), ("cancel", "cancel"), ("list", "resume")])
def test_what_was_asked_before_changes_nothing_and_says_so(terminal: Terminal, first: str, again: str) -> None:
    started = terminal.start("three")
    terminal.run("operations", first, *([] if first == "list" else [started]))

    said = terminal.says("operations", again, started)

    assert said.startswith("Nothing changed: Operation 1 is ")


def test_a_document_that_was_altered_is_refused_and_rebuilt(terminal: Terminal) -> None:
    started = terminal.start("three")
    terminal.run("operations", "pause", started)
    document = next(terminal.served.settings.workflow_store.rglob("workflow.json"))
    document.write_text("{}")

    refused = terminal.refuses("operations", "resume", started)
    rebuilt = terminal.says("operations", "rebuild", started)

    assert "`flask operations rebuild 1` writes it anew" in refused
    assert json.loads(Path(rebuilt.split()[1].rstrip(".")).read_text())["operation_id"] == 1
    assert terminal.says("operations", "resume", started).startswith("Operation 1 is IN PROGRESS")


def test_a_pause_that_cannot_be_written_down_says_why_without_a_traceback(terminal: Terminal) -> None:
    started = terminal.start("three")
    terminal.served.settings.workflow_store.write_text("in the way")

    said = terminal.program("operations", "pause", started)

    assert "Operation 1 is REQUESTING PAUSE; 0 of 3 steps, 0 %; reason: " in said.stdout
    assert "workflow.json could not be written" in said.stdout
    assert said.stderr == "`flask operations watch 1` follows it.\n"


def test_a_pause_that_is_due_now_stops_what_runs(terminal: Terminal) -> None:
    started = terminal.start("three")
    terminal.served.claim(started)

    said = terminal.run("operations", "pause", started, "--now", "--reason", "fire")

    assert "Operation 1 is REQUESTING PAUSE" in said.stdout
    assert "the pause was to take effect at once" in terminal.says("operations", "events", started)


def test_a_step_that_keeps_its_place_tells_how_far_it_is(terminal: Terminal) -> None:
    started = terminal.start("three")
    terminal.served.claim(started)
    with terminal.served.commands.engine.database.write() as tx:
        assert keep_place(tx, int(started), 0, 1, Kept("1200", 1200, 5000))

    assert "1,200 of 5,000" in terminal.says("operations", "steps", started)
    assert "1,200 of 5,000" in terminal.says("operations", "show", started)
    assert "1,200 of 5,000)" in terminal.run("operations", "pause", started).stdout


def test_an_operation_is_started_later(terminal: Terminal) -> None:
    said = terminal.run("operations", "start", "three", "--start-at", "2036-01-31T20:00:00+01:00")

    assert said.stdout.startswith("Operation 1 is SCHEDULED; 0 of 3 steps, 0 %; starts at 2036-")
    assert "start at   2036-" in terminal.says("operations", "show", "1")
    assert "2036-" in terminal.says("operations", "list")


def test_a_pause_may_have_an_end(terminal: Terminal) -> None:
    started = terminal.start("three")

    said = terminal.says("operations", "pause", started, "--resume-at", "2036-01-31T20:00")

    assert "goes on at 2036-01-31 20:00:00" in said
    assert "resume at  2036-01-31 20:00:00" in terminal.says("operations", "show", started)


@pytest.mark.parametrize("moment", ["soon", "9999-01-01"])
def test_what_is_no_moment_is_a_misuse(terminal: Terminal, moment: str) -> None:
    assert moment in terminal.refuses("operations", "start", "three", "--start-at", moment, status=2)
