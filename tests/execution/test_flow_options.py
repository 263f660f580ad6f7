"""Options of a flow that a workflow returns, on a real worker: they count as those of `@workflow` do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pausable.engine.local import Budget
from pausable.errors import FlowOptionTwice
from pausable.model.states import Completion
from pausable.service.transfer import advance, import_operation
from tests.execution.pausing import in_database
from tests.execution.service import Service, make_service, wait_for
from tests.execution.test_announcing import endpoint, texts, told_by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.notifications.endpoint import Endpoint

__all__ = ["endpoint"]


@pytest.fixture
def service(broker_url: str, tmp_path: Path, endpoint: Endpoint) -> Iterator[Service]:
    flows = ("tests.execution.flow_option_flows",)
    service = make_service(tmp_path, in_database(broker_url, 9), lease=1.5, flows=flows, webhook_hosts=(endpoint.host,))
    service.queue.flushdb()
    with service.at_work(), service.working():
        yield service
    service.close()


def test_handlers_and_notifications_of_a_flow_count_in_the_service(service: Service, endpoint: Endpoint) -> None:
    file = service.path()

    operation = service.run("flow-with-options", file=file)

    assert (operation.completion, operation.result, operation.reason) == (Completion.COMPLETED, '"nothing"', "forgiven")
    assert [(of, new) for of, _, new in told_by(file)] == [
        ("<Operation: flow-with-options>", 'Running("Running flow.")'),
        (
            "<Operation: flow-with-options>",
            'Failed("Some reference tasks failed. fail_plainly: ConnectionError")',
        ),
    ]
    wait_for(lambda: bool(endpoint.delivered()))
    assert texts(endpoint) == [f"flow-with-options: Success forgiven after {Path(file).name}"]


def test_options_of_a_workflow_and_of_its_flow_count_together(service: Service, endpoint: Endpoint) -> None:
    file = service.path()

    operation = service.run("flow-with-callback", file=file)

    assert operation.completion is Completion.FAILED
    assert [of for of, _, _ in told_by(file)] == ["<Operation: flow-with-callback>"]
    wait_for(lambda: bool(endpoint.delivered()))
    assert texts(endpoint) == ["flow-with-callback: Some reference tasks failed. fail_plainly: ConnectionError"]


def test_the_reference_steps_of_a_flow_decide_how_the_operation_ends(service: Service) -> None:
    assert service.run("flow-with-reference").completion is Completion.COMPLETED


def test_the_store_of_a_flow_keeps_the_results_of_its_steps(service: Service, tmp_path: Path) -> None:
    folder = tmp_path / "own"

    operation = service.run("flow-with-result", folder=str(folder))

    assert operation.result == "5"
    assert [file.read_text() for file in folder.iterdir()] == ["5"]


def test_an_option_that_workflow_and_flow_both_have_is_refused_at_the_start(service: Service) -> None:
    with pytest.raises(
        FlowOptionTwice,
        match=r"both have state handlers \(state_handlers, on_f.*\): give all of it to one of them\.$",
    ):
        service.start("flow-in-conflict", file="x")


def test_options_of_a_flow_move_with_a_document(service: Service, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    document = {"workflow": "flow-with-result", "arguments": {"folder": str(folder)}}

    imported, _ = import_operation(service.commands, service.ada, json.dumps(document).encode(), trust=True)
    service.resume(imported.operation.id)

    assert service.ended(imported.operation.id).result == "5"
    assert [file.read_text() for file in folder.iterdir()] == ["5"]


def test_options_of_a_flow_count_where_a_document_is_advanced(service: Service, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    content = json.dumps({"workflow": "flow-with-result", "arguments": {"folder": str(folder)}}).encode()

    advance(content, Budget(), service.commands.workflows, service.engine.keys)

    assert [file.read_text() for file in folder.iterdir()] == ["5"]


def test_a_signal_may_say_when_the_service_resumes_what_it_pauses(service: Service) -> None:
    operation = service.run("paused-for-a-moment", gate=service.path())

    assert operation.completion is Completion.COMPLETED
    assert service.moves(operation.id) == [
        "SCHEDULED", "IN PROGRESS", "REQUESTING PAUSE", "PAUSED", "IN PROGRESS", "COMPLETED",
    ]  # fmt: skip
    whys = [(event.new, event.who, event.why) for event in service.commands.events(service.ada, operation.id)]
    assert ("IN PROGRESS", "service", "its time to go on has come") in whys
