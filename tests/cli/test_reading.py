"""The commands that only look; what a worker would do, the tests do themselves."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.cli.terminal import undrawn

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.terminal import Terminal


def ids(table: str) -> list[str]:
    """The first column of a table, without its title."""
    return [line.split()[0] for line in table.splitlines()[1:]]


@pytest.fixture
def several(terminal: Terminal) -> Terminal:
    """1 is cancelled, 2 paused, 3 scheduled and eve's."""
    terminal.run("operations", "cancel", terminal.start("three"))
    terminal.run("operations", "pause", terminal.start("fails"))
    terminal.start("three", user="eve")
    return terminal


def test_operations_are_listed_newest_first(several: Terminal) -> None:
    header, newest, *_ = several.says("operations", "list").splitlines()

    assert header.split() == ["id", "workflow", "completion", "progress", "requester", "created", "duration", "due"]
    assert newest.split()[:5] == ["3", "three", "SCHEDULED", "0/3", "eve"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], ["3", "2", "1"]),
        (["--user", "bob"], ["2", "1"]),
        (["--workflow", "three"], ["3", "1"]),
        (["--completion", "paused"], ["2"]),
        (["--completion", "PAUSED", "--completion", "Cancelled"], ["2", "1"]),
        (["--completion", "requesting-pause"], []),
        (["--after", "3"], ["2", "1"]),
        (["--after", "3", "--limit", "1"], ["2"]),
    ],
)
def test_a_list_holds_what_is_asked_for(several: Terminal, words: list[str], found: list[str]) -> None:
    assert ids(several.says("operations", "list", *words)) == found


def test_a_list_that_ends_early_tells_how_to_go_on(several: Terminal) -> None:
    assert several.run("operations", "list", "--limit", "2").stderr == "There are more: --after 2\n"
    assert several.run("operations", "list", "--limit", "3").stderr == ""


def test_a_running_step_is_shown_with_its_holder(terminal: Terminal) -> None:
    started = terminal.start("three")
    terminal.served.claim(started)

    shown = terminal.says("operations", "show", started)

    assert re.search(r"^running    give-1 on \S+, process \d+, for ", shown, re.MULTILINE)


def test_a_result_is_shown_and_printed_alone_as_json(terminal: Terminal) -> None:
    started = terminal.start("three", 'value={"name": "café", "sizes": [1, 2]}')
    for _ in range(3):
        terminal.served.deliver()

    assert terminal.completion(started) == "COMPLETED"
    assert '"name": "café"' in terminal.says("operations", "show", started)
    assert json.loads(terminal.says("operations", "show", started, "--result")) == {"name": "café", "sizes": [1, 2]}


def test_a_result_that_lies_in_a_store_is_printed_whole_and_its_place_is_not_shown(terminal: Terminal) -> None:
    started = terminal.start("repeats", "many=300000")
    terminal.served.deliver()

    shown = terminal.says("operations", "show", started)

    assert f"flask operations show {started} --result" in shown
    assert terminal.served.settings.results not in shown
    assert json.loads(terminal.says("operations", "show", started, "--result")) == "x" * 300_000


def test_a_long_result_is_shown_in_part(terminal: Terminal) -> None:
    started = terminal.start("three", f"value={list(range(100))}")
    for _ in range(3):
        terminal.served.deliver()

    shown = terminal.says("operations", "show", started)

    assert shown.endswith("... 82 more lines: --result prints all\n")


def test_only_a_completed_operation_has_a_result(terminal: Terminal) -> None:
    started = terminal.start("three")

    assert terminal.refuses("operations", "show", started, "--result") == (
        "Error: Operation 1 is SCHEDULED: only a COMPLETED one has a result.\n"
    )


def test_an_error_is_shown_with_its_step_and_traceback(terminal: Terminal) -> None:
    started = terminal.start("fails")
    for _ in range(2):
        terminal.served.deliver()

    shown = terminal.says("operations", "show", started)

    assert "failed in  fail\nerror      ArithmeticError: no such number\ntraceback\nTraceback" in shown
    assert "ArithmeticError: no such number" in terminal.says("operations", "steps", started)


def test_an_error_of_the_operation_s_own_handler_names_no_step(terminal: Terminal) -> None:
    started = terminal.start("judged")
    terminal.served.deliver()

    shown = terminal.says("operations", "show", started)
    watched = terminal.run("operations", "watch", started, status=1)

    assert "failed in  a state handler of the operation\nerror      Failed: not good enough" in shown
    assert watched.stderr.startswith("A state handler of the operation failed it: Failed: not good enough\n")
    assert "retry" not in watched.stderr
    assert "a state handler of the operation failed it with Failed: not good enough." in terminal.says(
        "operations", "explain", "1"
    )


def test_a_step_whose_operation_starts_later_is_pending(terminal: Terminal) -> None:
    started = terminal.start("three", "--start-at", "2030-01-01T00:00")

    first, *_ = terminal.says("operations", "steps", started).splitlines()[1:]

    assert first.split()[2] == "Pending"


def test_a_preflight_of_what_has_ended_says_that_nothing_is_left(terminal: Terminal) -> None:
    started = terminal.start("three")
    terminal.run("operations", "cancel", started)

    said = terminal.run("operations", "preflight", started)

    assert said.stderr == "Operation 1 is CANCELLED: nothing of it is left to be resumed.\n"


def test_on_a_terminal_of_80_columns_the_history_tells_when_and_who(terminal: Terminal) -> None:
    started = terminal.start("three")
    terminal.run("operations", "pause", started, "--reason", "a deploy of the whole cluster tonight", "--user", "bob")

    with terminal.seated("operations", "events", started) as seat:
        seat.wait_for("PAUSED")
        assert seat.status() == 0

    drawn = undrawn(seat.drawn)
    heads = drawn.splitlines()[0].split()
    assert heads[:3] == ["when", "who", "what"] or heads[1:4] == ["when", "who", "what"]
    assert "bob" in drawn
    assert max(len(line) for line in drawn.splitlines()) <= 80


def test_steps_are_listed_in_order_from_where_one_asks(terminal: Terminal) -> None:
    started = terminal.start("three")

    assert ids(terminal.says("operations", "steps", started)) == ["0", "1", "2"]
    assert ids(terminal.says("operations", "steps", started, "--after", "0")) == ["1", "2"]
    assert terminal.run("operations", "steps", started, "--limit", "2").stderr == "There are more: --after 1\n"


def test_the_history_tells_who_moved_what_from_where_to_where_and_why(terminal: Terminal) -> None:
    started = terminal.start("three")
    terminal.run("operations", "pause", started, "--reason", "a deploy", "--user", "bob")

    first, asked, paused = terminal.says("operations", "events", started).splitlines()[1:]

    assert first.split()[3:] == ["bob", "operation", "SCHEDULED"]
    assert asked.split()[3:] == ["bob", "operation", "SCHEDULED", "REQUESTING", "PAUSE", "a", "deploy"]
    assert paused.split()[3:5] == ["worker", "operation"]
    assert terminal.run("operations", "events", started, "--limit", "1").stderr == "There are more: --after 1\n"


def test_the_picture_is_written_into_a_file(terminal: Terminal, tmp_path: Path) -> None:
    started, file = terminal.start("three"), tmp_path / "three.svg"

    assert terminal.run("operations", "graph", started, "-o", str(file)).stderr == f"{file} written\n"

    assert file.read_text() == terminal.says("operations", "graph", started)


def test_workflows_are_listed_with_their_parameters(terminal: Terminal) -> None:
    listed = terminal.says("operations", "workflows")

    assert "count-by       path by [chunks] [top] [parallel]  Count the rows of a CSV file by the columns" in listed


def test_the_log_of_a_step_is_printed_so_that_nothing_in_it_steers_the_terminal(terminal: Terminal) -> None:
    started = terminal.start("says", "words=\x1b[2Jgone")
    terminal.served.deliver()

    headed, said = terminal.says("operations", "log", started, "say").splitlines()

    assert headed.startswith("--- run 1, ")
    assert said.endswith("WARNING sayings: \\x1b[2Jgone")


def test_a_step_that_is_not_there_is_named(terminal: Terminal) -> None:
    assert terminal.refuses("operations", "log", terminal.start("three"), "give") == (
        "Error: Operation 1 has no step 'give'.\n"
    )
