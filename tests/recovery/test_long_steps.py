"""A long step that keeps its place stops there when it is asked to, and goes on from there, whatever has died."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pausable.model.states import Completion, StepState
from pausable.worker.recovery import Recovery
from tests.deadlines import WAIT
from tests.execution.service import wait_for
from tests.recovery.flows import lines_of
from tests.recovery.mortal import is_gone
from tests.recovery.test_lost_workers import elsewhere
from tests.workflows.conftest import write_people

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service
    from tests.recovery.mortal import Mortal

if TYPE_CHECKING:
    Employ = Callable[..., Mortal]

#: Rows for half a minute.
ROWS = 3000


class Long:
    """An operation with a long step in the middle, which is in the middle of its rows."""

    def __init__(self, service: Service) -> None:
        self.service, self.ledger, self.gate = service, service.path(), service.path()
        self.id = service.start("long", rows=ROWS, ledger=self.ledger, gate=self.gate)
        wait_for(lambda: len(self.rows()) >= 10, lambda: service._told(self.id))

    def rows(self) -> list[int]:
        """The rows that were worked on, one after the other."""
        return [int(line) for line in lines_of(self.ledger) if line.isdigit()]

    def runs(self) -> list[tuple[str, int]]:
        """The place that each run began with, and its process."""
        words = [line.split() for line in lines_of(self.ledger) if line.startswith("from ")]
        return [(place, int(process)) for _, place, _, process in words]

    def result(self) -> str | None:
        """Let it end quickly."""
        Path(self.gate).touch()
        return self.service.ended(self.id).result

    @property
    def state(self) -> StepState:
        return self.service.states(self.id)["work_through"]

    def kept(self) -> int | None:
        """How many rows are kept as done."""
        return self.service.steps(self.id)["work_through"].done


def test_a_pause_stops_a_long_step_at_its_place_and_it_goes_on_from_there(service: Service, employ: Employ) -> None:
    employ()
    long = Long(service)

    service.pause(long.id)
    service.wait_until(long.id, Completion.PAUSED)

    assert long.state is StepState.PAUSED
    done = len(long.rows())
    step = service.steps(long.id)["work_through"]
    assert (step.done, step.total, step.cursor) == (done, ROWS, str(done))
    service.resume(long.id)
    assert long.result() == "3"
    assert long.rows() == [*range(ROWS)]
    assert [place for place, _ in long.runs()] == ["None", str(done)]
    step = service.steps(long.id)["work_through"]
    assert (step.runs, step.losses, step.cursor, step.done) == (2, 0, None, None)


def test_a_cancel_stops_a_long_step(service: Service, employ: Employ) -> None:
    employ()
    long = Long(service)

    service.cancel(long.id)
    service.wait_until(long.id, Completion.CANCELLED)

    assert long.state is StepState.CANCELLED
    assert len(long.rows()) < ROWS
    assert service.moves(long.id)[-2:] == [Completion.REQUESTING_CANCEL, Completion.CANCELLED]


def test_a_long_step_whose_process_is_killed_goes_on_from_the_place_that_it_kept_last(
    service: Service, employ: Employ
) -> None:
    employ()
    long = Long(service)
    wait_for(lambda: (long.kept() or 0) > 10)

    os.kill(long.runs()[0][1], signal.SIGKILL)
    wait_for(lambda: len(long.runs()) == 2)

    assert long.result() == "3"
    place = int(long.runs()[1][0])
    assert place > 10
    rows = long.rows()
    again = rows.index(place, rows.index(place) + 1) if rows.count(place) > 1 else rows.index(place)
    assert rows[:again] == [*range(again)]
    assert rows[again:] == [*range(place, ROWS)]
    assert service.steps(long.id)["work_through"].losses == 0  # it got on


def test_a_worker_that_leaves_hands_a_long_step_back_at_its_place(service: Service, employ: Employ) -> None:
    worker = employ(grace=60)
    long = Long(service)

    worker.leave()
    assert worker.process.wait(WAIT) == 0

    assert long.state is StepState.QUEUED
    assert len(long.rows()) < ROWS
    employ()
    assert long.result() == "3"
    assert long.rows() == [*range(ROWS)]
    step = service.steps(long.id)["work_through"]
    assert (step.runs, step.losses) == (2, 0)


def test_a_worker_that_comes_back_keeps_no_place_of_a_step_that_another_has_taken_over(
    service: Service, employ: Employ
) -> None:
    first = employ()
    long = Long(service)
    wait_for(lambda: long.kept() is not None)
    elsewhere(service, first)
    first.stop()

    employ()
    wait_for(lambda: len(long.runs()) == 2)
    service.pause(long.id)
    wait_for(lambda: long.state in (StepState.QUEUED, StepState.PAUSED))
    kept = long.kept()
    first.go_on()
    service.wait_until(long.id, Completion.PAUSED)

    assert long.kept() == kept
    service.resume(long.id)
    assert long.result() == "3"
    assert [place for place, _ in long.runs()][2] == str(kept)
    assert service.steps(long.id)["work_through"].runs == 3


def counting(service: Service, **arguments: Any) -> int:
    return service.start("count-by", path="people.csv", by=["company", "gender"], **arguments)


def test_a_count_in_parallel_that_is_paused_inside_its_parts_gives_the_counts_of_one_in_turn(
    service: Service, employ: Employ
) -> None:
    place = service.settings.data_dir / "people.csv"
    write_people(place)
    head, _, rows = place.read_bytes().partition(b"\n")
    place.write_bytes(head + b"\n" + rows * (80_000_000 // len(rows)))
    employ()

    operation = counting(service, parallel=4)
    wait_for(lambda: any(step.done for step in service.steps(operation).values()), lambda: service._told(operation))
    service.pause(operation)
    service.wait_until(operation, Completion.PAUSED)

    halfway = [step for step in service.steps(operation).values() if step.cursor]
    assert halfway
    assert all(step.state is StepState.PAUSED and (step.done or 0) < (step.total or 0) for step in halfway)
    service.resume(operation)
    assert service.ended(operation).result == service.ended(counting(service, chunks=1)).result


def test_a_pause_that_is_due_now_stops_a_step_that_keeps_no_place_and_it_runs_again(
    service: Service, employ: Employ
) -> None:
    employ()
    ledger, gate = service.path(), service.path()
    operation = service.start("overslept", ledger=ledger, gate=gate)
    wait_for(lambda: len(lines_of(ledger)) == 1)

    service.commands.pause(service.ada, operation, now=True, reason="fire")

    service.wait_until(operation, Completion.PAUSED)
    assert is_gone(int(lines_of(ledger)[0]))
    assert service.states(operation)["oversleep"] is StepState.PAUSED
    told = [event for event in service.commands.events(service.ada, operation) if event.step]
    assert [(event.who, event.old, event.new) for event in told] == [("ada", "Running", "Queued")]
    Path(gate).touch()
    service.resume(operation)
    assert service.ended(operation).result == "3"
    step = service.steps(operation)["oversleep"]
    assert (step.runs, step.losses) == (2, 0)


def test_a_pause_that_is_due_now_follows_one_that_waits(service: Service, employ: Employ) -> None:
    employ()
    ledger, gate = service.path(), service.path()
    operation = service.start("overslept", ledger=ledger, gate=gate)
    wait_for(lambda: len(lines_of(ledger)) == 1)
    service.pause(operation)

    assert service.commands.pause(service.ada, operation, now=True)[1]

    service.wait_until(operation, Completion.PAUSED)
    assert not service.commands.pause(service.ada, operation, now=True)[1]


def test_what_cannot_be_stopped_from_here_keeps_an_operation_from_being_paused(
    service: Service, employ: Employ
) -> None:
    worker, ledger, gate = employ(lease=600), service.path(), service.path()
    operation = service.start("overslept", ledger=ledger, gate=gate)
    wait_for(lambda: len(lines_of(ledger)) == 1)
    elsewhere(service, worker)

    view, _ = service.commands.pause(service.ada, operation, now=True)

    assert view.operation.completion is Completion.REQUESTING_PAUSE
    assert [(one.slug, one.is_confirmed) for one in view.in_flight] == [("oversleep", False)]
    os.kill(int(lines_of(ledger)[0]), 0)  # it still runs


def test_the_process_of_a_worker_that_has_no_other_is_not_killed_by_a_pause_that_is_due_now(
    service: Service, employ: Employ
) -> None:
    worker, ledger, gate = employ(pool="threads", processes=1), service.path(), service.path()
    operation = service.start("held", ledger=ledger, gate=gate)
    wait_for(lambda: len(lines_of(ledger)) == 1)
    other = Recovery(service.engine)

    service.commands.pause(service.ada, operation, now=True)
    other.look()
    assert service.completion(operation) is Completion.REQUESTING_PAUSE
    Path(gate).touch()
    service.wait_until(operation, Completion.PAUSED)

    assert worker.process.poll() is None
    service.resume(operation)
    assert service.ended(operation).result == "3"
