"""A callback of an author's that does not return: recovery, retries and schedules of its worker go on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pausable.model.states import Completion
from tests.execution.service import wait_for
from tests.recovery.flows import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service
    from tests.recovery.mortal import Mortal

if TYPE_CHECKING:
    Employ = Callable[..., Mortal]


def test_while_a_callback_hangs_its_worker_retries_and_recovers_the_steps_of_others(
    service: Service, employ: Employ
) -> None:
    employ(processes=2)
    ledger, gate = service.path(), service.path()
    hanging = service.start("hanging-callback", ledger=ledger, gate=gate)
    wait_for(lambda: len(lines_of(ledger)) >= 2)  # in the process that ran the step, and in the main one

    retried = service.ended(service.start("mended-later", ledger=service.path()))
    recovered = service.ended(service.start("deadly", ledger=service.path(), times=1))

    assert (retried.result, recovered.result) == ("1", "3")
    assert service.completion(hanging) is Completion.REQUESTING_PAUSE
    Path(gate).touch()
    service.wait_until(hanging, Completion.PAUSED)
