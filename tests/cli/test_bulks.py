"""The same asked of many operations at a terminal; the tests sweep themselves, but for one that has a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pausable.service.bulks import work_off

if TYPE_CHECKING:
    from tests.cli.terminal import Terminal


def work(terminal: Terminal) -> None:
    for _ in range(3):
        work_off(terminal.served.commands.engine)


def test_many_are_paused_and_resumed_gently(terminal: Terminal) -> None:
    for _ in range(2):
        terminal.start("three")

    said = terminal.run("operations", "pause", "--workflow", "three", "--reason", "a deploy")
    work(terminal)
    thaw = terminal.says("operations", "resume", "--workflow", "three", "--per-minute", "30")

    assert (
        said.stdout == "Bulk 1 is RUNNING: pause three that stood at SCHEDULED or IN PROGRESS; 0 of 2 done, 2 left.\n"
    )
    assert said.stderr == "`flask bulks watch 1` follows it, `flask bulks stop 1` stops it.\n"
    assert [terminal.completion(one) for one in "12"] == ["PAUSED", "PAUSED"]
    assert "0 of 2 done, 2 left, 30 a minute." in thaw


def test_where_they_stand_says_which_are_cancelled(terminal: Terminal) -> None:
    terminal.start("three")
    terminal.says("operations", "pause", terminal.start("three"))

    terminal.says("operations", "cancel", "--completion", "paused", "--yes")
    work(terminal)

    assert [terminal.completion(one) for one in "12"] == ["SCHEDULED", "CANCELLED"]


def test_a_user_means_their_own(terminal: Terminal) -> None:
    terminal.start("three", user="bob")
    terminal.start("three", user="eve")

    assert "0 of 1 done" in terminal.says("operations", "pause", "--workflow", "three", "--user", "bob")


@pytest.mark.parametrize(
    "words",
    [
        ("pause",),
        ("resume", "--per-minute", "5"),
        ("cancel", "1", "--workflow", "three"),
        ("resume", "1", "--per-minute", "5"),
        ("pause", "1", "--watch"),
        ("pause", "--workflow", "three", "--wait", "5"),
        ("pause", "--workflow", "three", "--now"),
        ("resume", "--workflow", "three", "--per-minute", "0"),
    ],
)
def test_one_or_many_is_said_clearly_or_is_a_misuse(terminal: Terminal, words: tuple[str, ...]) -> None:
    terminal.start("three")

    terminal.refuses("operations", *words, status=2)

    assert terminal.completion("1") == "SCHEDULED"


def test_where_nothing_would_change_is_refused(terminal: Terminal) -> None:
    assert "COMPLETED changes nothing" in terminal.refuses("operations", "pause", "--completion", "completed")


def test_many_are_not_cancelled_before_that_is_confirmed(terminal: Terminal) -> None:
    terminal.start("three")
    terminal.start("three")

    said = terminal.refuses("operations", "cancel", "--workflow", "three", status=2)
    work(terminal)

    assert "That cancels 2 operations for good: give --yes too." in said
    assert [terminal.completion(one) for one in "12"] == ["SCHEDULED", "SCHEDULED"]


@pytest.mark.parametrize(("verb", "words"), [("pause", []), ("resume", []), ("cancel", ["--yes"]), ("cancel", [])])
def test_a_workflow_that_there_is_not_is_named_and_nothing_is_asked(
    terminal: Terminal, verb: str, words: list[str]
) -> None:
    terminal.start("three")

    said = terminal.refuses("operations", verb, "--workflow", "thre", *words)

    assert "There is no workflow 'thre'. Is three meant?" in said
    assert terminal.says("bulks", "list").splitlines()[1:] == []


def test_bulks_are_listed_and_stopped(terminal: Terminal) -> None:
    terminal.start("three")
    terminal.says("operations", "pause", "--workflow", "three")

    stopped = terminal.says("bulks", "stop", "1")

    assert stopped.startswith("Bulk 1 is STOPPED: pause three")
    assert terminal.says("bulks", "stop", "1").startswith("Nothing changed: Bulk 1 is STOPPED")
    header, row = terminal.says("bulks", "list").splitlines()
    assert header.split()[:4] == ["id", "what", "of", "state"]
    assert "STOPPED" in row
    assert "There is no bulk 1" in terminal.refuses("bulks", "stop", "1", "--user", "bob")


def test_those_that_refuse_are_told_where_it_is_watched(terminal: Terminal) -> None:
    for _ in range(2):
        terminal.says("operations", "pause", terminal.start("three"))
    next(terminal.served.settings.workflow_store.glob("1/*/workflow.json")).unlink()
    terminal.says("operations", "resume", "--workflow", "three")
    work(terminal)

    watched = terminal.run("bulks", "watch", "1", status=1)

    assert "1 of 2 done, 1 refused." in watched.stdout
    assert watched.stderr == "1 document-unusable: 1\n"


def test_a_bulk_is_watched_until_all_were_asked(terminal: Terminal) -> None:
    for _ in range(3):
        terminal.start("three")

    with terminal.served.working():
        watched = terminal.says(
            "operations", "cancel", "--workflow", "three", "--completion", "scheduled", "--watch", "--yes"
        )

    assert "Bulk 1 is DONE: cancel three that stood at SCHEDULED; " in watched


def test_a_terminal_shows_how_far_a_bulk_is(terminal: Terminal) -> None:
    terminal.start("three")
    terminal.says("operations", "pause", "--workflow", "three")
    with terminal.seated("bulks", "watch", "1") as seat:
        seat.wait_for("0 of 1 operations asked")

        work(terminal)
        seat.wait_for("Bulk 1 is DONE")

        assert seat.status() == 0
