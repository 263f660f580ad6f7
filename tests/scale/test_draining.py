"""What a look at a requested pause reads: nothing of the steps while one runs, and then no result but those needed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pausable.engine.drain import drain
from pausable.model.states import Completion
from pausable.worker.sweeper import sweep
from tests.databases import on_both
from tests.scale.measuring import measured

if TYPE_CHECKING:
    from tests.execution.conftest import ByHand
    from tests.execution.service import Service

_C = Completion
_LARGE = "x" * 10_000


def half_done(service: Service, size: int) -> int:
    """An operation that is asked to pause; of its steps every one but the last has ended, each with a large result."""
    operation = service.start("deep", size=size, gate="none")
    service.queue.flushdb()
    ended = "UPDATE steps SET state = 'Success', waiting = 0, result = ? WHERE number < ?"
    service.change(ended, f'"{_LARGE}"', size - 1)
    service.change("UPDATE steps SET state = 'Queued', waiting = 0 WHERE number = ?", size - 1)
    service.change("UPDATE operations SET completion = 'REQUESTING PAUSE' WHERE id = ?", operation)
    return operation


@on_both
def test_a_look_at_a_pause_reads_no_step_while_one_runs(by_hand: ByHand) -> None:
    service = by_hand(flows=("tests.scale.flows",))
    operation = half_done(service, 50)
    service.engine.register()
    service.change("UPDATE steps SET state = 'Running', worker_id = (SELECT max(id) FROM workers) WHERE number = 49")

    with measured(service.engine.database) as work:
        drain(service.engine, operation)
        sweep(service.engine)

    assert service.completion(operation) is _C.REQUESTING_PAUSE
    assert work.rows == 0


@on_both
def test_a_pause_reads_only_the_results_that_its_document_holds(by_hand: ByHand) -> None:
    service = by_hand(flows=("tests.scale.flows",))
    operation = half_done(service, 50)

    with measured(service.engine.database) as work:
        drain(service.engine, operation)

    assert service.completion(operation) is _C.PAUSED
    assert [step["state"]["result"] for step in service.document(operation)["steps"]][-3:] == [None, _LARGE, None]
    assert work.characters < 5 * len(_LARGE)


@on_both
def test_a_sweep_that_has_taken_its_time_leaves_the_rest_to_the_next(by_hand: ByHand) -> None:
    service = by_hand()
    engine = replace(service.engine, lease=0.0)
    operations = [service.start("adding", numbers=[1, 2]) for _ in range(3)]
    service.change("UPDATE operations SET completion = 'REQUESTING CANCEL'")

    left, after = [], 0
    for _ in operations:
        after = sweep(engine, after)
        left.append([one for one in operations if service.completion(one) is not _C.CANCELLED])

    assert left == [operations[1:], operations[2:], []]
