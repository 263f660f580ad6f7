"""`advance`: the next steps of a document run in the calling process, until its budget is spent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pausable.documents.check import read_any, read_document
from pausable.documents.signing import Keys
from pausable.engine.local import Budget
from pausable.errors import (
    DocumentMalformed,
    DocumentUntrusted,
    ResultsUnreachable,
    SlugsUnfit,
    TasksUnregistered,
    WorkflowUnknown,
)
from pausable.service.transfer import advance
from tests.execution.flows import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

ONE = Budget(steps=1)
ALL = Budget()
GOLDEN = sorted((Path(__file__).parents[1] / "documents").glob("*/workflow.json"))


@pytest.fixture
def service(by_hand: ByHand) -> Service:
    """A service whose slices end after each step."""
    return by_hand(slice_steps=1)


def paused(service: Service, workflow: str, **arguments: Any) -> bytes:
    """The document of an operation that was paused after its first step."""
    operation = service.start(workflow, **arguments)
    service.deliver()
    service.pause(operation)
    return service.commands.document(service.ada, operation)


def advanced(service: Service, document: bytes | dict[str, Any], budget: Budget, **given: Any) -> dict[str, Any]:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return advance(content, budget, service.commands.workflows, given.pop("keys", Keys()), **given)


def states(document: dict[str, Any]) -> dict[str, str]:
    return {step["task"]["slug"]: step["state"]["type"] for step in document["steps"]}


def told(slug: str, type_: str, result: Any = None) -> dict[str, Any]:
    """A step as a hand writes it."""
    return {"task": {"slug": slug}, "state": {"type": type_, "message": None, "result": result}}


def test_a_budget_of_one_step_runs_one_step(service: Service) -> None:
    first = read_document(paused(service, "adding", numbers=[1, 2, 3]))

    second = advanced(service, first, ONE)

    assert states(second) == {"same": "Success", "add-1": "Success", "add-2": "Paused"}
    assert (second["slice"], second["result"], second["origin"]) == (1, 3, first["origin"])
    assert read_document(json.dumps(second).encode()) == second


def test_the_document_of_what_remains_tells_the_code_that_it_was_left_with(service: Service) -> None:
    first = read_document(paused(service, "adding", numbers=[1, 2, 3]))

    second = advanced(service, first, ONE)

    assert second["code"] == first["code"]
    assert "code" not in advanced(service, second, ALL)


def test_without_a_budget_the_operation_is_run_to_its_end(service: Service) -> None:
    ended = advanced(service, paused(service, "fan", width=3), ALL)

    assert (ended["completion"], ended["result"], ended["chain"]) == ("COMPLETED", 3, [])
    assert set(states(ended).values()) == {"Success"}


def test_step_by_step_an_operation_ends_with_the_result_that_it_has_anyway(service: Service) -> None:
    ledger = service.path()
    document = read_document(paused(service, "shape", shape="nested", ledger=ledger))

    for number in range(1, 7):
        document = advanced(service, document, ONE)
        assert document["slice"] == number
        assert len(lines_of(ledger)) == number + 1

    assert document["completion"] == "COMPLETED"
    plain = service.start("shape", shape="nested", ledger=service.path())
    service.deliver_all()
    assert document["result"] == json.loads(service.show(plain).result or "")


def test_what_has_ended_is_returned_as_it_is(service: Service) -> None:
    ended = advanced(service, paused(service, "adding", numbers=[1, 2]), ALL)

    assert advanced(service, ended, ALL) == ended


def test_a_step_that_fails_fails_the_operation_in_the_document(service: Service) -> None:
    document = {"workflow": "failing", "arguments": {}}

    ended = advanced(service, document, ALL)

    assert ended["completion"] == "FAILED"
    assert ended["error"]["message"]


def test_the_seconds_of_a_budget_stop_a_long_step_at_its_cursor(service: Service) -> None:
    ledger = service.path()
    document = {"workflow": "counting-slowly", "arguments": {"ledger": ledger, "upto": 1000}}

    stopped = advanced(service, document, Budget(seconds=0.3))

    assert (stopped["completion"], stopped["result"]) == ("PAUSED", None)
    assert stopped["steps"][0]["cursor"]["place"] > 0
    assert advanced(service, stopped, ALL)["result"] == 1000
    assert lines_of(ledger) == [str(number) for number in range(1000)]


def test_a_document_made_by_hand_starts(service: Service) -> None:
    ended = advanced(service, {"workflow": "adding", "arguments": {"numbers": [1, 2, 3]}}, ALL)

    assert (ended["completion"], ended["result"]) == ("COMPLETED", 6)


def test_states_laid_by_their_slugs_are_gone_on_from(service: Service) -> None:
    steps = [told("same", "Success", 10), told("add-1", "Pending"), told("add-2", "Scheduled")]

    ended = advanced(service, {"workflow": "adding", "arguments": {"numbers": [1, 2, 3]}, "steps": steps}, ALL)

    assert ended["result"] == 15


@pytest.mark.parametrize(
    "value", [{"__result__": {"store": "/", "path": "etc/passwd", "serializer": "text"}}, {"a": 1}]
)
def test_a_result_that_a_hand_wrote_is_a_value_whatever_it_looks_like(service: Service, value: Any) -> None:
    document = {"workflow": "same-twice", "arguments": {}, "steps": [told("same-1", "Success", value)]}

    ended = advanced(service, document, ALL)

    assert ended["completion"] == "COMPLETED"
    assert ended["steps"][1]["state"]["result"] == value


def test_what_lies_below_a_state_of_failure_is_not_run(service: Service) -> None:
    steps = [told("same", "Failed"), told("add-1", "Pending")]

    with pytest.raises(DocumentMalformed, match="no step left that could run"):
        advanced(service, {"workflow": "adding", "arguments": {"numbers": [1, 2, 3]}, "steps": steps}, ALL)


def test_unknown_and_ambiguous_slugs_are_refused_by_name(service: Service) -> None:
    steps = [told("same", "Success", 1), told("gone", "Success", 1), told("add", "Success", 1), told("same", "Success")]
    document = {"workflow": "adding", "arguments": {"numbers": [1, 2, 3]}, "steps": steps}

    with pytest.raises(SlugsUnfit, match=r"gone: no step is called so; add, same: several steps may be meant"):
        advanced(service, document, ALL)

    assert advanced(service, document, ALL, lenient=True)["result"] == 6


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.parent.name)
def test_a_document_of_each_format_is_advanced(service: Service, golden: Path) -> None:
    ended = advanced(service, golden.read_bytes(), ALL)

    assert (ended["format"], ended["completion"], ended["result"]) == (2, "COMPLETED", 1)


def test_a_document_that_names_tasks_that_are_not_registered_is_refused(service: Service) -> None:
    content = paused(service, "adding", numbers=[1, 2]).replace(b"tests.execution.flows.add", b"os.system")

    with pytest.raises(TasksUnregistered, match=r"os\.system"):
        advanced(service, content, ALL)


def test_a_document_of_a_workflow_that_is_not_here_is_refused(service: Service) -> None:
    with pytest.raises(WorkflowUnknown):
        advanced(service, {"workflow": "gone"}, ALL)


#: A state with text that no database keeps.
BAD = {"type": "Failed", "message": "caf\udce9", "result": None}


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"workflow": 7}, "workflow: the name"),
        ({"workflow": "adding", "arguments": []}, "arguments: an object"),
        ({"workflow": "adding", "steps": {}}, "steps: a list"),
        ({"workflow": "adding", "steps": [{"task": "same"}]}, r"steps.0.task.slug: the name"),
        ({"workflow": "adding", "steps": [told("same", "Done")]}, r"steps.0.state: "),
        ({"workflow": "adding", "steps": [{"task": {"slug": "same"}, "state": []}]}, r"steps.0.state: "),
        ({"workflow": "adding", "steps": [told("same", "Failed") | {"state": BAD}]}, r"steps.0.state.message"),
        ([], "the whole"),
        ({"format": 1}, "operation_id"),
    ],
)
def test_a_malformed_document_made_by_hand_is_refused_with_the_place(document: Any, why: str) -> None:
    with pytest.raises(DocumentMalformed, match=why):
        read_any(json.dumps(document).encode())


def test_results_that_lie_where_nobody_can_read_them_are_named_before_anything_runs(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESULTS", service.settings.results)
    document = read_document(paused(service, "adding", numbers=[1, 2]))
    document["steps"][0]["kept"] = {"store": service.settings.results, "path": "gone.json", "serializer": "json"}
    document["steps"][0]["state"]["result"] = None

    with pytest.raises(ResultsUnreachable, match=r"same \(nothing lies at .*gone.json\)"):
        advanced(service, document, ALL)


KEYS = Keys(["k" * 32])


def test_where_there_is_a_key_only_what_it_has_signed_is_advanced(service: Service) -> None:
    document = read_document(paused(service, "adding", numbers=[1, 2, 3]))

    second = advanced(service, KEYS.sealed(document), ONE, keys=KEYS)
    assert advanced(service, KEYS.sealed(second), ALL, keys=KEYS)["result"] == 6
    altered = json.loads(KEYS.sealed(document)) | {"arguments": {}}
    for unsigned in (document, altered, {"workflow": "adding"}):
        with pytest.raises(DocumentUntrusted):
            advanced(service, unsigned, ALL, keys=KEYS)
    assert advanced(service, {"workflow": "same-twice"}, ALL)["result"] == 1
