"""Every shipped workflow, paused and resumed at each of its pause points, gives what it gives undisturbed."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from celery.signals import task_postrun

from pausable.model.states import Completion, StepState
from pausable.workflows.registry import load_workflows
from tests.execution.pausing import in_database
from tests.execution.service import Service, make_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

if TYPE_CHECKING:
    NewService = Callable[..., Service]

SHIPPED = {workflow.name: workflow for workflow in load_workflows()}
#: What a workflow is given that cannot do without; a shipped one that is not here runs with its defaults.
ARGUMENTS: dict[str, dict[str, Any]] = {"count-by": {"path": "people.csv", "by": ["company"], "chunks": 6}}
PEOPLE = "first_name,company\n" + "".join(f'"A, {number}",Company {number % 7}\n' for number in range(500))


@pytest.fixture
def new_service(broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewService]:
    """Make an installation where nothing was ever started: its first operation has the same number as in any other."""
    with ExitStack() as made:

        def make(**settings: Any) -> Service:
            folder = tmp_path_factory.mktemp("service")
            (folder / "people.csv").write_text(PEOPLE)
            service = make_service(folder, in_database(broker_url, 2), **settings)
            made.callback(service.close)
            service.queue.flushdb()
            return made.enter_context(service.at_work())

        yield make


def start(service: Service, workflow: str) -> int:
    return service.start(workflow, **ARGUMENTS.get(workflow, {}))


def result_of(service: Service, operation: int) -> Any:
    assert service.completion(operation) is Completion.COMPLETED, service.states(operation)
    return json.loads(service.show(operation).result or "null")


def undisturbed(service: Service, workflow: str) -> Any:
    operation = start(service, workflow)
    service.deliver_all()
    return result_of(service, operation)


def held(service: Service, operation: int) -> set[str]:
    return {slug for slug, state in service.states(operation).items() if state is StepState.PAUSED}


def behind_points(service: Service, operation: int) -> set[str]:
    return {slug for slug, step in service.steps(operation).items() if step.point is not None}


def paused_in(service: Service, workflow: str, slug: str) -> tuple[Any, set[str]]:
    """The result when a pause is asked for in this step and resumed, and what the pause held."""
    operation = start(service, workflow)
    with pausing_at(service, operation, slug):
        service.deliver_all()
    were_held = held(service, operation)
    if were_held:
        assert service.completion(operation) is Completion.PAUSED
        service.resume(operation)
        service.deliver_all()
    return result_of(service, operation), were_held


@contextmanager
def pausing_at(service: Service, operation: int, slug: str) -> Iterator[None]:
    """Ask for a pause in the moment when the code of this step has returned and nothing is recorded yet."""
    id_ = service.task_id(operation, slug)

    def ask(task_id: str = "", **_: Any) -> None:
        if task_id == id_:
            service.pause(operation)

    task_postrun.connect(ask)
    try:
        yield
    finally:
        task_postrun.disconnect(ask)


@pytest.mark.parametrize("workflow", SHIPPED)
def test_the_arguments_that_these_tests_give_are_all_that_a_workflow_needs(workflow: str) -> None:
    wanted = SHIPPED[workflow].schema().get("required", [])

    assert set(wanted) <= ARGUMENTS.get(workflow, {}).keys(), f"say in ARGUMENTS what {workflow} is given"


@pytest.mark.parametrize("slice_steps", [1, 50])
@pytest.mark.parametrize("workflow", SHIPPED)
def test_a_pause_asked_for_in_any_step_and_resumed_changes_no_result(
    new_service: NewService, workflow: str, slice_steps: int
) -> None:
    expected = undisturbed(new_service(), workflow)
    service = new_service()
    operation = start(service, workflow)

    ever_held: set[str] = set()
    for slug in service.steps(operation):
        result, were_held = paused_in(new_service(slice_steps=slice_steps), workflow, slug)
        assert result == expected, slug
        ever_held |= were_held

    assert ever_held == behind_points(service, operation)


@pytest.mark.parametrize("workflow", SHIPPED)
def test_a_pause_between_any_two_deliveries_and_resumed_changes_no_result(
    new_service: NewService, workflow: str
) -> None:
    expected = undisturbed(new_service(), workflow)
    service = new_service(slice_steps=1)
    operation = start(service, workflow)
    ever_held: set[str] = set()

    while service.messages():
        service.deliver()
        if service.completion(operation) is Completion.IN_PROGRESS:
            service.pause(operation)
            assert service.completion(operation) is Completion.PAUSED
            ever_held |= held(service, operation)
            service.resume(operation)

    assert result_of(service, operation) == expected
    assert ever_held == behind_points(service, operation)
