"""workflow.json: what it tells, that it is never changed, and that bare Celery goes on with it."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pausable.engine.documents import verify_document
from pausable.errors import DocumentUnusable
from pausable.service import operations
from pausable.service.operations import Wish, rebuild

if TYPE_CHECKING:
    from collections.abc import Callable

    from pausable.db.operations import Operation
    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]


@pytest.fixture
def service(by_hand: ByHand) -> Service:
    """A service whose slices end after each step."""
    return by_hand(slice_steps=1)


@pytest.fixture
def paused(service: Service) -> int:
    """An operation that is paused after the first of its three steps."""
    operation = service.start("adding", numbers=[1, 2, 3])
    service.deliver()
    service.pause(operation)
    return operation


def file_of(service: Service, operation: int) -> Path:
    return Path(service.show(operation).workflow_store or "")


def test_the_document_tells_what_was_done_and_what_remains(service: Service, paused: int) -> None:
    document = service.document(paused)

    head = {key: document[key] for key in ("format", "operation_id", "workflow", "arguments", "result")}
    arguments = {"numbers": [1, 2, 3]}
    assert head == {"format": 2, "operation_id": paused, "workflow": "adding", "arguments": arguments, "result": 1}
    tasks = [link["task"].rpartition(".")[2] for link in document["chain"]]
    assert tasks == ["add", "pause_or_continue", "add"]
    assert [link["args"] for link in document["chain"] if "add" in link["task"]] == [[2], [3]]


def test_the_document_tells_all_that_is_needed_to_go_on_elsewhere(service: Service, paused: int) -> None:
    document, operation = service.document(paused), service.show(paused)

    ((installation,),) = service.read("SELECT name FROM installation")
    assert document["origin"] == {"installation": installation, "operation_id": paused}
    assert (document["slice"], document["completion"], document["error"]) == (0, "PAUSED", None)
    assert (document["created_at"], document["started_at"]) == (operation.created_at, operation.started_at)
    assert document["outcome"] == "add-2"
    assert [step.get("inputs") for step in document["steps"]] == [None, "same", "add-1"]
    assert [step.get("decides", False) for step in document["steps"]] == [False, False, True]
    assert document["steps"][2]["point"] == {"number": 2, "clause": None, "callback": None, "passed": False}
    assert document["steps"][0]["runs"] == 1


def test_each_time_that_an_operation_goes_on_from_its_rest_is_a_slice(service: Service, paused: int) -> None:
    service.resume(paused)
    service.deliver()
    service.pause(paused)

    assert service.document(paused)["slice"] == 1


def test_the_document_tells_of_every_step_and_what_it_waits_for(service: Service, paused: int) -> None:
    steps = service.document(paused)["steps"]

    name = "tests.execution.flows"
    assert [step["task"] for step in steps] == [
        {"slug": "same", "name": f"{name}.same"},
        {"slug": "add-1", "name": f"{name}.add"},
        {"slug": "add-2", "name": f"{name}.add"},
    ]
    assert steps[0]["state"] == {"type": "Success", "message": None, "result": 1}
    assert [step["state"]["type"] for step in steps] == ["Success", "Paused", "Pending"]
    assert [step["upstream"] for step in steps] == [[], ["same"], ["add-1"]]
    assert steps[1]["signature"]["args"] == [2]


def test_finished_results_that_nothing_needs_any_more_are_left_out(service: Service) -> None:
    operation = service.start("adding", numbers=[1, 2, 3, 4])
    service.deliver()
    service.deliver()
    service.pause(operation)

    results = [step["state"]["result"] for step in service.document(operation)["steps"]]

    assert results == [None, 3, None, None]


def test_the_row_points_to_the_file_of_its_version_and_holds_its_digest(service: Service, paused: int) -> None:
    operation = service.show(paused)
    file = file_of(service, paused)

    expected = service.settings.workflow_store.absolute() / str(paused) / str(operation.version) / "workflow.json"
    assert file == expected
    assert sha256(file.read_bytes()).hexdigest() == operation.workflow_digest
    assert [path.name for path in file.parent.iterdir()] == ["workflow.json"]


def test_the_document_of_one_pause_is_left_as_it_is_by_the_next(service: Service, paused: int) -> None:
    first, content = file_of(service, paused), file_of(service, paused).read_bytes()

    service.resume(paused)
    service.deliver()
    service.pause(paused)

    assert file_of(service, paused) != first
    assert first.read_bytes() == content
    assert service.document(paused)["result"] == 3


def spoil(service: Service, operation: int, how: str) -> None:
    file = file_of(service, operation)
    if how == "altered":
        file.write_bytes(file.read_bytes().replace(b"[2]", b"[9]"))
    else:
        file.unlink()


@pytest.mark.parametrize(("how", "sentence"), [("altered", "was altered"), ("missing", "cannot be read")])
def test_a_resume_is_refused_when_the_document_is_not_what_was_written(
    service: Service, paused: int, how: str, sentence: str
) -> None:
    before = service.show(paused), service.states(paused)
    spoil(service, paused, how)

    with pytest.raises(DocumentUnusable, match=rf"{sentence}.*`flask operations rebuild {paused}` writes it anew"):
        service.resume(paused)

    service.deliver_all()
    assert (service.show(paused), service.states(paused)) == before


@pytest.mark.parametrize("how", ["altered", "missing"])
def test_a_document_that_is_rebuilt_from_the_table_lets_the_operation_go_on(
    service: Service, paused: int, how: str
) -> None:
    before = service.document(paused)
    spoil(service, paused, how)

    service.commands.rebuild(service.ada, paused)
    assert service.document(paused) == before
    service.resume(paused)
    service.deliver_all()

    assert service.show(paused).result == "6"


def test_a_rebuild_is_a_version_of_its_own(service: Service, paused: int) -> None:
    before = service.show(paused)

    after = rebuild(service.engine, Wish(paused, "ada"))

    assert after == service.show(paused)
    assert after.version == before.version + 1
    assert after.workflow_store != before.workflow_store
    assert service.commands.events(service.ada, paused)[-1].why == "workflow.json rebuilt"


def test_a_resume_looks_at_the_document_of_a_pause_that_came_meanwhile(
    service: Service, paused: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[str | None] = []

    def go_on_and_pause_after_the_first_look(operation: Operation) -> bytes:
        looked_at.append(operation.workflow_store)
        content = verify_document(operation)
        if len(looked_at) == 1:
            service.resume(paused)
            service.deliver()
            service.pause(paused)
        return content

    monkeypatch.setattr(operations, "verify_document", go_on_and_pause_after_the_first_look)

    assert service.resume(paused)
    assert looked_at[-1] == service.show(paused).workflow_store != looked_at[0]
