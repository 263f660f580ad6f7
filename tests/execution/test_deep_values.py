"""A value that is nested as deep as it may be goes wherever values go; a deeper one is the failure of its step."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pausable.engine.dispatch import publish_due
from pausable.errors import UnstorableArgument
from pausable.model.states import ENDED, Completion, StepState
from tests.databases import on_sqlite_alone
from tests.execution.deep_flows import BOUND, GIVEN, MADE, depth_of
from tests.execution.moving import KEY, exported, imported
from tests.execution.pausing import in_database
from tests.execution.service import make_service, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.execution.moving import ByHand
    from tests.execution.service import Service

pytestmark = on_sqlite_alone
FLOWS = ("tests.execution.deep_flows",)


@pytest.fixture
def here(by_hand: ByHand) -> Service:
    return by_hand(flows=FLOWS, slice_steps=1, document_key=KEY)


@pytest.fixture
def there(here: Service, broker_url: str, tmp_path: Path) -> Iterator[Service]:
    there = make_service(tmp_path / "there", in_database(broker_url, 9), flows=FLOWS, slice_steps=1, document_key=KEY)
    there.queue.flushdb()
    yield there
    there.close()


def run_out(service: Service, operation: int) -> None:
    """Resume an operation that rests, and deliver until it has ended."""
    if service.completion(operation) is Completion.PAUSED:
        service.resume(operation)
    with service.at_work():
        wait_for(lambda: is_over_now(service, operation))


def is_over_now(service: Service, operation: int) -> bool:
    """Deliver what waits and is due, and return whether the operation has ended."""
    publish_due(service.engine)
    service.deliver_all()
    return service.completion(operation) in ENDED


@pytest.mark.parametrize("kind", ["lists", "shaped like ours"])
@pytest.mark.parametrize("workflow", [*MADE, *GIVEN])
def test_a_value_at_the_bound_is_paused_moved_and_goes_on_after_each_step(
    here: Service, there: Service, workflow: str, kind: str
) -> None:
    at, to = here, there
    operation = at.start(workflow, deep=BOUND, kind=kind)
    for _ in range(3):
        with at.at_work():
            at.resume(operation)
            at.deliver()
            if at.completion(operation) is Completion.COMPLETED:
                break
            at.pause(operation)
        assert at.completion(operation) is Completion.PAUSED, at.show(operation).reason
        operation, at, to = imported(to, exported(at, operation)), to, at
    run_out(at, operation)

    ended = at.show(operation)
    assert ended.completion is Completion.COMPLETED, ended
    assert depth_of(ended.result or "") == BOUND + (workflow == "deep-in-groups")


@pytest.mark.parametrize("deep", [BOUND + 1, 5000])
@pytest.mark.parametrize(("workflow", "error"), MADE.items())
def test_a_deeper_value_is_the_failure_of_its_step_once(here: Service, workflow: str, error: str, deep: int) -> None:
    operation = here.start(workflow, deep=deep, kind="lists")

    run_out(here, operation)

    failed = [step for step in here.steps(operation).values() if step.state is StepState.FAILED]
    assert {json.loads(step.error or "{}")["type"] for step in failed} == {error}
    assert f"nested more than {BOUND} deep" in json.loads(failed[0].error or "{}")["message"]
    assert [step.losses for step in failed] == [0] * len(failed)
    assert here.completion(operation) is Completion.FAILED


@pytest.mark.parametrize("deep", [BOUND + 1, 5000])
@pytest.mark.parametrize("workflow", GIVEN)
def test_a_deeper_argument_is_refused_at_the_start(here: Service, workflow: str, deep: int) -> None:
    with pytest.raises(UnstorableArgument, match=f"nested more than {BOUND} deep"):
        here.start(workflow, deep=deep, kind="dicts")
