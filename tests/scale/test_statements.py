"""How many SQL statements a command sends: what it reads it reads once, and it answers with the record it wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pausable.model.states import Completion
from tests.databases import on_both
from tests.scale.measuring import measured

if TYPE_CHECKING:
    from tests.execution.conftest import ByHand
    from tests.execution.service import Service

_C = Completion


def half_way(service: Service) -> int:
    """An operation of three steps; the first has ended, the second waits to be claimed, and nothing runs."""
    operation = service.start("adding", numbers=[1, 2, 3])
    service.change("UPDATE steps SET state = 'Success', waiting = 0, result = '1' WHERE number = 0")
    service.change("UPDATE steps SET state = 'Queued', waiting = 0 WHERE number = 1")
    service.change("UPDATE operations SET completion = 'IN PROGRESS', started_at = 1, steps_left = 2, steps_done = 1")
    return operation


@on_both
def test_a_pause_of_an_operation_of_which_nothing_runs_sends_at_most_15_statements(by_hand: ByHand) -> None:
    service = by_hand()
    operation = half_way(service)

    with measured(service.engine.database, has_calls=False) as work:
        view, is_changed = service.commands.pause(service.ada, operation)

    assert (view, is_changed) == (service.commands.show(service.ada, operation), True)
    assert view.operation.completion is _C.PAUSED
    assert len(work.sql) <= 15, work.sql


@on_both
def test_a_resume_sends_at_most_14_statements(by_hand: ByHand) -> None:
    service = by_hand()
    operation = half_way(service)
    service.pause(operation)

    with measured(service.engine.database, has_calls=False) as work:
        view, is_changed = service.commands.resume(service.ada, operation)

    assert (view, is_changed) == (service.commands.show(service.ada, operation), True)
    assert view.operation.completion is _C.IN_PROGRESS
    assert len(work.sql) <= 14, work.sql


@on_both
def test_a_cancel_of_an_operation_of_which_nothing_runs_answers_with_what_it_wrote(by_hand: ByHand) -> None:
    service = by_hand()
    operation = half_way(service)

    view, is_changed = service.commands.cancel(service.ada, operation)

    assert (view, is_changed) == (service.commands.show(service.ada, operation), True)
    assert view.operation.completion is _C.CANCELLED
