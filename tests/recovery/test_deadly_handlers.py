"""A worker that dies inside a state handler: the call is repeated, and nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pausable.model.states import Completion
from tests.execution.service import wait_for
from tests.recovery.flows import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service
    from tests.recovery.mortal import Mortal

if TYPE_CHECKING:
    Employ = Callable[..., Mortal]

BEGIN, RUN, END = "Pending Running", "run", "Running Success"
TOLD = "Running Pending"


@pytest.mark.parametrize(
    ("deadly", "calls"), [("Running", [BEGIN, BEGIN, RUN, END]), ("Success", [BEGIN, RUN, END, BEGIN, RUN, END])]
)
def test_a_process_that_dies_in_the_handler_of_a_step_repeats_the_step(
    service: Service, employ: Employ, deadly: str, calls: list[str]
) -> None:
    employ()
    ledger = service.path()

    operation = service.start("deadly-step-handler", ledger=ledger, deadly=deadly)

    assert service.ended(operation).result == "2"
    wait_for(lambda: TOLD in lines_of(ledger))  # of the loss; with the arguments by name, like every call
    assert [line for line in lines_of(ledger) if line != TOLD] == calls
    assert service.steps(operation)["count"].losses == 1


BEGINS, ENDS = "Scheduled Running", "Running Success"


@pytest.mark.parametrize(("deadly", "calls"), [("Running", [BEGINS, BEGINS, ENDS]), ("Success", [BEGINS, ENDS, ENDS])])
def test_a_process_that_dies_in_the_handler_of_an_operation_repeats_the_call(
    service: Service, employ: Employ, deadly: str, calls: list[str]
) -> None:
    employ()
    ledger = service.path()

    operation = service.start("deadly-operation-handler", ledger=ledger, deadly=deadly)

    assert service.ended(operation).result == "3"
    assert lines_of(ledger) == calls
    assert service.moves(operation) == ["SCHEDULED", "IN PROGRESS", Completion.COMPLETED]
