"""What a step's code logs is kept, beside what it does, and costs nothing where nothing is logged."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from pausable.engine import step_log
from pausable.model.states import Completion
from tests.execution.service import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]


def told(service: Service, operation: int, slug: str) -> list[str]:
    """The lines of a log, without their times."""
    return [re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ?", "", line) for line in
            service.log(operation, slug).splitlines()]  # fmt: skip


def test_all_ways_to_tell_something_are_kept_by_a_worker(service: Service) -> None:
    operation = service.start("tells-so", task="tell_in_many_ways")
    service.ended(operation)

    lines = told(service, operation, "tell_in_many_ways")

    assert lines[:4] == [
        "--- run 1, ",
        "WARNING telling: by logging, formatted",
        "WARNING tests.execution.telling_flows: by the task's logger",
        "WARNING celery.redirected: by printing",
    ]
    assert any(line.endswith("RuntimeWarning: by warning") for line in lines)
    assert lines[-1] == "ArithmeticError: no such number"


def test_what_a_long_step_tells_can_be_read_while_it_runs(service: Service) -> None:
    gate = service.path()
    operation = service.start("tells-so", task="tell_and_wait", gate=gate)

    wait_for(lambda: "before" in service.log(operation, "tell_and_wait"))
    assert service.completion(operation) is Completion.IN_PROGRESS
    open(gate, "w").close()
    service.ended(operation)

    assert [line.rpartition(" ")[2] for line in told(service, operation, "tell_and_wait")[1:]] == ["before", "after"]


def test_a_step_that_tells_nothing_writes_nothing(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("tells", lines=["one", "two"])

    service.deliver_all()

    assert [line.rpartition(" ")[2] for line in told(service, operation, "tell")[1:]] == ["one", "two"]
    assert service.log(operation, "keep_silent") == ""
    written = service.read("SELECT DISTINCT slug FROM step_logs JOIN steps USING (operation_id, number)")
    assert written == [("tell",)]


def test_each_run_of_a_step_is_headed_by_its_number(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("tells-so", task="tell_at_each_try")

    for _ in range(3):
        service.deliver_step(operation, 0)
        service.change("UPDATE steps SET state = 'Queued' WHERE state = 'Retrying'")

    assert told(service, operation, "tell_at_each_try") == [
        "--- run 1, ", "WARNING telling: try 0",
        "--- run 2, ", "WARNING telling: try 1",
        "--- run 3, ", "WARNING telling: try 2",
    ]  # fmt: skip


def test_a_run_keeps_so_much_and_tells_how_much_was_left_out(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("tells", lines=["x" * 40_000, "ü" * 40_000, "never", "seen"])

    service.deliver_all()

    lines = told(service, operation, "tell")
    size = len(service.log(operation, "tell").encode())
    assert step_log.LARGEST <= size <= step_log.LARGEST + 200
    assert lines[2].startswith("WARNING telling: üü")
    assert re.fullmatch(r"--- [\d,]+ bytes more were logged and left out", lines[-1])
    assert len(lines) == 4


@pytest.mark.parametrize("hostile", ["a\0b", "--- run 7, 2026", "'); DROP TABLE steps; --"])
def test_hostile_text_stays_text(by_hand: ByHand, hostile: str) -> None:
    service = by_hand()
    operation = service.start("tells", lines=[hostile])

    service.deliver_all()

    assert told(service, operation, "tell")[1] == "WARNING telling: " + hostile.replace("\0", "\\x00")
    assert service.completion(operation) is Completion.COMPLETED


def test_what_utf_8_has_no_bytes_for_is_escaped(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("tells", lines=[])
    log = step_log.StepLog(service.engine.database, operation, 0, 1)

    log.add("a lone \ud800 surrogate")
    log.end()

    assert told(service, operation, "tell")[1:] == ["a lone \\ud800 surrogate"]


def test_what_is_told_outside_the_step_is_not_its_own(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("tells-so", task="tell_from_elsewhere")

    service.deliver_all()

    assert told(service, operation, "tell_from_elsewhere")[1:] == ["WARNING telling: from the step"]


def test_a_time_limit_that_falls_into_the_telling_reaches_the_code(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("tells-so", task="tell_when_the_time_is_over")

    service.deliver_all()

    assert service.show(operation).result == '"noticed"'


def test_a_log_that_cannot_be_written_fails_no_step(by_hand: ByHand) -> None:
    service = by_hand()
    service.change("ALTER TABLE step_logs ADD COLUMN room INTEGER CHECK (number < 0)")  # every row is refused
    operation = service.start("tells", lines=["lost"])

    service.deliver_all()

    assert service.completion(operation) is Completion.COMPLETED
    assert service.log(operation, "tell") == ""


def test_a_run_that_was_lost_keeps_what_it_had_written(by_hand: ByHand, tmp_path: Path) -> None:
    service = by_hand()
    with service.working(processes=1):
        operation = service.start("tells-so", task="tell_and_wait", gate=str(tmp_path / "never"))
        wait_for(lambda: "before" in service.log(operation, "tell_and_wait"))
        [running] = service.commands.show(service.ada, operation).in_flight
        os.kill(running.process or 0, signal.SIGKILL)

        assert told(service, operation, "tell_and_wait")[1] == "WARNING telling: before"
