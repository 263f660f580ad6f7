"""What a pre-flight reads of an operation is what its steps would be called with, on both kinds of database."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from pausable.db.steps import find_step, remaining_calls
from pausable.engine.claim import call_with
from pausable.model.states import Completion
from pausable.service.preflight import preflight

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

FLOWS = ("tests.execution.flows", "tests.execution.graph_flows")
SHAPES: dict[str, dict[str, Any]] = {
    "adding": {"numbers": [1, 2, 3]},
    "fan": {"width": 4},
    "graph-nested": {},
    "graph-several": {},
    "graph-no-barrier": {"file": "nowhere"},
    "kinds": {},
    "later": {},
}


def called(service: Service, operation: int) -> Counter[tuple[str, int, frozenset[str]]]:
    """How the tasks of all steps would be called, each result of another being 1."""
    calls: Counter[tuple[str, int, frozenset[str]]] = Counter()
    for row in service.steps(operation).values():
        with service.engine.database.glance() as tx:
            found = find_step(tx, operation, row.number)
        assert found is not None
        args, kwargs = call_with(service.engine, operation, found[0], dict.fromkeys(range(1000), "1"))
        calls[found[0].task, len(args), frozenset(kwargs)] += 1
    return calls


@pytest.mark.parametrize("workflow", SHAPES)
def test_a_call_is_looked_at_with_as_many_arguments_as_it_is_made_with(by_hand: ByHand, workflow: str) -> None:
    service = by_hand(flows=FLOWS)
    operation = service.start(workflow, **SHAPES[workflow])

    with service.engine.database.read() as tx:
        remaining = remaining_calls(tx, operation)

    looked_at: Counter[tuple[str, int, frozenset[str]]] = Counter()
    for one in remaining:
        looked_at[one.task, one.positional, frozenset(one.keywords)] += one.steps
    assert looked_at == called(service, operation)


def test_what_a_worker_pauses_is_found_unchanged_by_another_process(service: Service) -> None:
    operation = service.start("shape", shape="nested", ledger=service.path(), stop="a")
    service.wait_until(operation, Completion.PAUSED)

    assert preflight(service.engine, operation) == []
    assert service.document(operation)["code"]["tasks"]
