"""A worker that dies or falls silent: its steps run again elsewhere, and what it still writes is written by nobody."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from pausable.model.states import Completion, StepState
from pausable.worker.recovery import Recovery
from tests.execution.service import wait_for
from tests.recovery.flows import lines_of
from tests.recovery.mortal import is_gone

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service
    from tests.recovery.mortal import Mortal

if TYPE_CHECKING:
    Employ = Callable[..., Mortal]


def running_in(ledger: str, times: int = 1) -> int:
    """Wait until the step at the gate was begun so many times; the process that began it last."""
    wait_for(lambda: len(lines_of(ledger)) >= times)
    return int(lines_of(ledger)[-1])


def test_a_step_whose_worker_is_killed_runs_again_in_another(service: Service, employ: Employ) -> None:
    first, ledger, gate = employ(), service.path(), service.path()
    operation = service.start("held", ledger=ledger, gate=gate)
    child = running_in(ledger)

    first.kill()
    wait_for(lambda: is_gone(child))
    employ()
    assert running_in(ledger, 2) != child
    Path(gate).touch()

    assert service.ended(operation).result == "3"
    assert service.steps(operation)["run_at"].losses == 1
    assert [step.runs for step in service.steps(operation).values()] == [1, 2, 1]
    told = [event for event in service.commands.events(service.ada, operation) if event.step == "run_at"]
    assert [(event.old, event.new) for event in told] == [("Running", "Queued")]
    assert "its worker was lost" in str(told[0].why)


def test_a_retry_that_is_waited_for_survives_its_worker_and_the_broker_s_messages(
    service: Service, employ: Employ
) -> None:
    first, ledger = employ(), service.path()
    operation = service.start("mended-later", ledger=ledger)
    service.wait_for_step(operation, "mended_later", StepState.RETRYING)

    first.kill()
    service.queue.flushdb()
    assert service.states(operation)["mended_later"] is StepState.RETRYING
    employ()

    assert service.ended(operation).result == "1"
    step = service.steps(operation)["mended_later"]
    assert (step.runs, step.losses) == (2, 0)
    one, other = map(float, lines_of(ledger))
    assert other - one >= 2


def test_a_step_whose_process_is_killed_runs_again_in_the_same_worker(service: Service, employ: Employ) -> None:
    employ()
    ledger = service.path()

    operation = service.start("deadly", ledger=ledger, times=2)

    assert service.ended(operation).result == "3"
    assert service.steps(operation)["die"].losses == 2
    assert len(lines_of(ledger)) == 3


def test_a_step_that_kills_every_worker_fails_after_three(service: Service, employ: Employ) -> None:
    employ()

    operation = service.start("deadly", ledger=service.path(), times=9)

    assert service.error(operation) | {"traceback": ""} == {
        "step": "die", "type": "WorkerLost", "message": "Its worker was lost 3 times.", "traceback": "",
    }  # fmt: skip
    assert service.states(operation)["plus-2"] is StepState.TRIGGER_FAILED


def test_a_worker_that_is_stopped_for_longer_than_its_lease_is_killed_and_its_step_runs_elsewhere(
    service: Service, employ: Employ
) -> None:
    first, ledger, gate = employ(), service.path(), service.path()
    operation = service.start("held", ledger=ledger, gate=gate)
    child = running_in(ledger)

    first.stop()
    employ()
    running_in(ledger, 2)

    assert is_gone(child)
    assert is_gone(first.pid)
    Path(gate).touch()
    assert service.ended(operation).result == "3"


def test_a_process_of_the_pool_that_is_stopped_alone_loses_its_step_too(service: Service, employ: Employ) -> None:
    employ()
    ledger, gate = service.path(), service.path()
    operation = service.start("held", ledger=ledger, gate=gate)
    child = running_in(ledger)

    os.kill(child, signal.SIGSTOP)
    running_in(ledger, 2)

    assert is_gone(child)
    Path(gate).touch()
    assert service.ended(operation).result == "3"


def test_why_a_process_is_gone_is_said_by_its_own_worker_which_may_have_killed_it(
    service: Service, employ: Employ
) -> None:
    employ()
    other, ledger = Recovery(service.engine), service.path()
    operation = service.start("overlong", ledger=ledger)

    def has_ended_under_its_eyes() -> bool:
        other.look()
        return service.completion(operation) is Completion.FAILED

    wait_for(has_ended_under_its_eyes)

    assert service.error(operation)["type"] == "TimeLimitPassed"
    assert len(lines_of(ledger)) == 1


def elsewhere(service: Service, worker: Mortal) -> None:
    """Make everybody believe that this worker is on a machine that nobody here can look into."""
    service.change("UPDATE workers SET host = 'elsewhere', boot_id = '' WHERE pid = ?", worker.pid)


def paused_while_silent(service: Service, employ: Employ) -> tuple[Mortal, int, int]:
    """A worker out of reach that holds a step and is stopped, while its operation is asked to pause."""
    first, ledger, gate = employ(), service.path(), service.path()
    operation = service.start("held", ledger=ledger, gate=gate)
    child = running_in(ledger)
    elsewhere(service, first)
    first.stop()
    service.pause(operation)
    employ()
    wait_for(lambda: service.steps(operation)["run_at"].losses == 1)
    Path(gate).touch()
    return first, operation, child


def test_an_operation_is_not_paused_while_a_silent_worker_may_still_run_its_code(
    service: Service, employ: Employ
) -> None:
    first, operation, child = paused_while_silent(service, employ)

    view = service.commands.show(service.ada, operation)
    assert view.operation.completion is Completion.REQUESTING_PAUSE
    assert [(one.slug, one.host, one.process, one.is_confirmed) for one in view.in_flight] == [
        ("run_at", "elsewhere", child, False)
    ]

    first.go_on()
    service.wait_until(operation, Completion.PAUSED)
    assert service.states(operation)["run_at"] is StepState.PAUSED
    service.resume(operation)
    assert service.ended(operation).result == "3"
    assert service.steps(operation)["run_at"].runs == 2


def test_a_person_may_accept_that_nobody_knows(service: Service, employ: Employ) -> None:
    _, operation, _ = paused_while_silent(service, employ)

    service.commands.pause(service.ada, operation, accept_unconfirmed=True)

    assert service.completion(operation) is Completion.PAUSED
    said = [event.why for event in service.commands.events(service.ada, operation) if event.who == "ada"]
    assert any("run_at" in (why or "") and "elsewhere" in (why or "") for why in said)


def test_what_ran_when_the_machine_was_rebooted_is_known_to_be_gone_at_the_first_look(
    service: Service, employ: Employ
) -> None:
    first, ledger, gate = employ(), service.path(), service.path()
    operations = [service.start("held", ledger=ledger, gate=gate) for _ in range(2)]
    running_in(ledger, 2)
    first.stop()
    service.change("UPDATE workers SET boot_id = 'machine/an earlier boot/pid:[1]' WHERE pid = ?", first.pid)
    service.pause(operations[0])

    employ(lease=600)  # nobody's silence lasts for that long

    service.wait_until(operations[0], Completion.PAUSED)
    running_in(ledger, 3)
    Path(gate).touch()
    assert service.ended(operations[1]).result == "3"
    assert service.steps(operations[1])["run_at"].losses == 1
