"""What real processes of a worker count comes into the table, at the latest when they end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pausable.db.stats import OPERATIONS_A_MINUTE, STEPS_A_MINUTE, list_metrics, list_minutes
from pausable.engine.metrics import FINISHED, STEP_SECONDS
from pausable.model.states import Completion

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service


def test_a_worker_that_ends_has_written_what_its_processes_counted(by_hand: Callable[..., Service]) -> None:
    service = by_hand()

    with service.working(1):
        assert service.run("adding", numbers=[1, 2, 3]).completion is Completion.COMPLETED

    with service.engine.database.read() as tx:
        found = {(row.name, row.label): 0 for row in list_metrics(tx)}
        for row in list_metrics(tx):
            found[row.name, row.label] += row.count
    assert found[FINISHED, "COMPLETED adding"] == 1
    assert found[STEP_SECONDS, "tests.execution.flows.add"] == 2
    assert found[STEP_SECONDS, "tests.execution.flows.same"] == 1
    with service.engine.database.read() as tx:
        minutes = list_minutes(tx, 0)
    ended = {name: sum(count for (of, _), count in minutes.items() if of == name) for name, _ in minutes}
    assert ended == {STEPS_A_MINUTE: 3, OPERATIONS_A_MINUTE: 1}
