"""Following an operation, with a real worker: on a terminal, where there is none, and with Ctrl-C."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Self

import pytest

from tests.cli.terminal import Terminal, undrawn
from tests.databases import on_postgresql_alone
from tests.execution.pausing import in_database
from tests.web.serving import DEADLINE, ROOT, Served, serving, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def working(migrated_file: Path, broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A terminal of a service that has a worker."""
    folder = tmp_path_factory.mktemp("working")
    shutil.copy(migrated_file, folder)
    with serving(folder, in_database(broker_url, 13)) as served, served.working():
        yield Terminal(served)


def test_an_operation_is_started_and_followed_to_its_end(working: Terminal) -> None:
    said = working.says("operations", "start", "add-numbers", "start=7", "delay=0.05", "--watch")

    first, *moves, last = said.splitlines()
    assert first.startswith("Operation ")
    assert any("of 5 steps" in move for move in moves)
    assert re.fullmatch(r"Operation \d+ is COMPLETED; 5 of 5 steps, 100 %\.", last)
    assert '"total": 16' in working.says("operations", "show", first.split()[1], "--result")


@on_postgresql_alone
def test_an_operation_is_followed_on_postgresql_as_well(served: Served) -> None:
    with served.working():
        said = Terminal(served).says("operations", "start", "add-numbers", "start=7", "--watch")

    assert re.fullmatch(r"Operation \d+ is COMPLETED; 5 of 5 steps, 100 %\.", said.splitlines()[-1])


def test_watching_ends_when_the_operation_is_paused(working: Terminal, tmp_path: Path) -> None:
    started = working.start("gate", f"gate={tmp_path / 'gate'}")
    with working.seated("operations", "watch", started) as seat:
        seat.wait_for("running: wait_at")

        working.run("operations", "pause", started)
        seat.wait_for("REQUESTING PAUSE")
        (tmp_path / "gate").touch()
        seat.wait_for(f"Operation {started} is PAUSED; 1 of 3 steps, 33 %.")

        assert seat.status() == 3


def test_where_there_is_no_terminal_a_line_tells_who_changed_it_and_why(terminal: Terminal) -> None:
    started = terminal.start("three")
    with Watching(terminal, started) as watching:
        wait_for(lambda: "waits for a worker" in watching.said())

        terminal.run("operations", "pause", started, "--reason", "lunch\nid: 7", "--user", "bob")

    assert any(
        line.endswith("  bob: SCHEDULED to REQUESTING PAUSE; lunch id: 7") for line in watching.said().splitlines()
    )


class Watching:
    """`flask operations watch` as a program that writes to a file; it is waited for when the block is left."""

    def __init__(self, terminal: Terminal, operation_id: str) -> None:
        self._file = terminal.served.settings.data_dir / f"watch-{operation_id}"
        command = [sys.executable, "-m", "flask", "operations", "watch", operation_id]
        environ = terminal.served._environ() | {"FLASK_SKIP_DOTENV": "1", "PYTHONUNBUFFERED": "1"}
        with self._file.open("wb") as file:
            self._program = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._program.wait(DEADLINE)

    def said(self) -> str:
        return self._file.read_text()


def test_a_terminal_shows_a_bar_what_runs_and_at_last_the_end(working: Terminal, tmp_path: Path) -> None:
    started = working.start("gate", f"gate={tmp_path / 'gate'}", "after=1")
    with working.seated("operations", "watch", started) as seat:
        seat.wait_for("0 of 2 steps, 0 %")
        seat.wait_for("running: wait_at")
        (tmp_path / "gate").touch()
        seat.wait_for(f"Operation {started} is COMPLETED; 2 of 2 steps, 100 %.")

        assert seat.status() == 0
    assert "━" * 40 in undrawn(seat.drawn)


def test_ctrl_c_ends_the_watching_alone(terminal: Terminal) -> None:
    started = terminal.start("three")
    with terminal.seated("operations", "watch", started) as seat:
        seat.wait_for("waits for a worker")

        seat.interrupt()
        seat.wait_for("Operation 1 goes on: `flask operations watch 1` follows it again.")

        assert seat.status() == 130
    assert terminal.completion(started) == "SCHEDULED"


def test_the_failure_of_what_is_watched_is_told_on_standard_error(terminal: Terminal) -> None:
    started = terminal.start("fails")
    for _ in range(2):
        terminal.served.deliver()

    said = terminal.run("operations", "watch", started, status=1)

    assert said.stdout.endswith("Operation 1 is FAILED.\n")
    assert said.stderr.startswith("Step fail failed: ArithmeticError: no such number\n")


@pytest.mark.parametrize(("command", "status"), [("cancel", 1), ("pause", 3)])
def test_the_exit_status_tells_where_an_operation_rests(terminal: Terminal, command: str, status: int) -> None:
    started = terminal.start("three")
    terminal.run("operations", command, started)

    terminal.run("operations", "watch", started, status=status)
