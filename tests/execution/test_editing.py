"""What remains of a paused operation is edited, runs so, and is put back as it was until a step has started."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from pausable.errors import EditRefused, MoveRefused, OperationMoved, OperationNotFound, PatchMalformed, VersionPassed
from pausable.model.states import Completion, StepState
from pausable.secrets import Secret
from pausable.service import edit as editing
from pausable.service.transfer import export_operation
from tests.execution.flows import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

_C = Completion


def paused_after(service: Service, steps: int, workflow: str = "adding", **arguments: Any) -> int:
    """An operation that is paused once so many of its steps have ended, one by one."""
    given = {"numbers": [1, 2, 3, 4]} if workflow == "adding" else {}
    operation = service.start(workflow, **(arguments or given))
    for _ in range(steps):
        service.deliver()
    service.pause(operation)
    assert service.completion(operation) is _C.PAUSED
    return operation


def edit(service: Service, operation: int, patch: Any, **given: Any) -> bool:
    return editing.edit(service.commands, service.ada, operation, patch, **given)[1]


def undo(service: Service, operation: int, **given: Any) -> None:
    editing.undo(service.commands, service.ada, operation, **given)


def gone_on(service: Service, operation: int) -> str | None:
    """Resume it, and run it to its end; its result."""
    service.resume(operation)
    service.deliver_all()
    assert service.completion(operation) is _C.COMPLETED
    return service.show(operation).result


def diffs(service: Service, operation: int) -> list[list[dict[str, Any]]]:
    return [json.loads(one.diff) for one in editing.edits(service.commands, service.ada, operation)]


def rows(service: Service, operation: int) -> list[Any]:
    """All that an edit may change: the steps, and what the operation carries."""
    steps = service.read("SELECT number, signature, result, state FROM steps WHERE operation_id = ?", operation)
    return [*steps, service.show(operation).result]


def test_arguments_of_a_remaining_step_are_edited(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=1)
    operation = paused_after(service, 2)

    assert edit(service, operation, {"steps": {"add-2": {"args": [30]}}}, reason="it was a typing error")

    assert diffs(service, operation) == [[{"at": "steps.add-2.args", "old": [3], "new": [30]}]]
    assert gone_on(service, operation) == "37"


def test_keyword_arguments_are_merged(by_hand: ByHand, tmp_path: Any) -> None:
    service = by_hand(slice_steps=1)
    ledger = service.path()
    operation = paused_after(service, 1, "shape", shape="chain", ledger=ledger)

    edit(service, operation, {"steps": {"tell-2": {"kwargs": {"name": "x", "stop": None}}}})

    assert gone_on(service, operation) == '"d(c(x(a(-))))"'
    assert lines_of(ledger) == ["a", "x", "c", "d"]
    assert [one["at"] for one in diffs(service, operation)[0]] == [
        "steps.tell-2.kwargs.name",
        "steps.tell-2.kwargs.stop",
    ]


def test_what_the_next_step_is_handed_is_edited(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=1)
    operation = paused_after(service, 2)
    assert service.show(operation).result == "3"

    edit(service, operation, {"result": 100})

    assert service.show(operation).result == "100"
    assert service.document(operation)["result"] == 100
    assert diffs(service, operation) == [[{"at": "result", "old": 3, "new": 100}]]
    assert gone_on(service, operation) == "107"


def test_the_results_of_a_group_are_edited_one_by_one(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=1)
    operation = paused_after(service, 2, "shape", shape="group first", ledger=service.path())
    assert json.loads(service.show(operation).result or "") == ["a(-)", "b(-)"]

    edit(service, operation, {"result": ["a(-)", "z"]})

    assert gone_on(service, operation) == '"c(a(-),z)"'
    with pytest.raises(MoveRefused):
        edit(service, operation, {"result": []})


@pytest.mark.parametrize("patch", [{"steps": {"add-2": None}}, {"steps": {"add-2": {"skip": True}}}])
def test_a_skipped_step_does_not_run_and_hands_on_what_it_was_handed(by_hand: ByHand, patch: Any) -> None:
    service = by_hand(slice_steps=1)
    operation = paused_after(service, 1)

    edit(service, operation, patch)

    assert diffs(service, operation) == [[{"at": "steps.add-2.skip", "old": False, "new": True}]]
    assert gone_on(service, operation) == "7"
    skipped = service.steps(operation)["add-2"]
    assert (skipped.state, skipped.message) == (StepState.SUCCESS, "skipped")


def test_the_step_that_is_held_and_the_last_one_may_be_skipped(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=1)
    operation = paused_after(service, 1)

    edit(service, operation, {"steps": {"add-1": None, "add-3": None}})

    assert gone_on(service, operation) == "4"


def test_before_the_first_step_all_can_be_edited_and_nothing_is_carried(by_hand: ByHand) -> None:
    service = by_hand()
    operation = paused_after(service, 0)

    with pytest.raises(EditRefused, match="nothing is handed"):
        edit(service, operation, {"result": 5})
    edit(service, operation, {"steps": {"same": {"args": [10]}}})

    assert gone_on(service, operation) == "19"


@pytest.mark.parametrize(
    ("patch", "fault"),
    [
        ([], PatchMalformed),
        (None, PatchMalformed),
        ({"workflow": "other"}, PatchMalformed),
        ({"steps": None}, PatchMalformed),
        ({"steps": {"add-2": {"task": "os.system"}}}, PatchMalformed),
        ({"steps": {"add-2": {"args": {"a": 1}}}}, PatchMalformed),
        ({"steps": {"add-2": {"skip": "yes"}}}, PatchMalformed),
        ({"steps": {"nobody": {"args": []}}}, EditRefused),
        ({"steps": {"same": {"args": [7]}}}, EditRefused),
    ],
)
def test_what_is_no_patch_or_changes_what_cannot_be_leaves_all_as_it_is(
    by_hand: ByHand, patch: Any, fault: type[Exception]
) -> None:
    service = by_hand(slice_steps=1)
    operation = paused_after(service, 2)
    before, version = rows(service, operation), service.show(operation).version

    with pytest.raises(fault):
        edit(service, operation, patch)

    assert rows(service, operation) == before
    assert service.show(operation).version == version
    assert gone_on(service, operation) == "10"


def test_a_patch_that_changes_nothing_is_no_edit(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=1)
    operation = paused_after(service, 2)

    assert not edit(service, operation, {"result": 3, "steps": {"add-2": {"args": [3], "skip": False}}})

    assert diffs(service, operation) == []


def test_the_history_keeps_who_and_why_and_the_edit_what(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=1)
    operation = paused_after(service, 2)

    edit(service, operation, {"steps": {"add-2": {"args": [30]}}}, reason="a typing error")
    undo(service, operation, reason="it was none")

    told = [(event.who, event.old, event.new, event.why) for event in service.commands.events(service.ada, operation)]
    assert told[-2:] == [
        ("ada", "PAUSED", "PAUSED", "edit 1: steps.add-2.args; a typing error"),
        ("ada", "PAUSED", "PAUSED", "edit 1 taken back; it was none"),
    ]
    (kept,) = editing.edits(service.commands, service.ada, operation)
    assert (kept.who, kept.why, kept.undone_by) == ("ada", "a typing error", "ada")


def test_a_secret_is_neither_taken_nor_shown(by_hand: ByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    service = by_hand(slice_steps=1)
    operation = paused_after(service, 2)
    old, new = uuid4().hex, uuid4().hex
    edit(service, operation, {"result": old})
    monkeypatch.setenv("HARBOUR", old)
    monkeypatch.setenv("CASTLE", new)
    assert [Secret(name).get() for name in ("HARBOUR", "CASTLE")]

    with pytest.raises(EditRefused, match="holds the secret CASTLE"):
        edit(service, operation, {"steps": {"add-2": {"kwargs": {"y": new}}}})
    edit(service, operation, {"result": 5})

    assert diffs(service, operation)[-1] == [{"at": "result", "old": "<secret HARBOUR>", "new": 5}]


def test_who_looked_at_an_older_document_changes_nothing(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=1)
    operation = paused_after(service, 2)
    digest = service.show(operation).workflow_digest or ""
    edit(service, operation, {"result": 4}, digests={digest})

    with pytest.raises(VersionPassed):
        edit(service, operation, {"result": 5}, digests={digest})

    assert service.show(operation).result == "4"


def test_only_what_is_paused_here_is_edited(by_hand: ByHand) -> None:
    service = by_hand()
    running = service.start("adding", numbers=[1, 2])
    moved = paused_after(service, 0)
    export_operation(service.commands, service.ada, moved)

    with pytest.raises(MoveRefused):
        edit(service, running, {"steps": {"add": None}})
    with pytest.raises(OperationMoved):
        edit(service, moved, {"steps": {"add-1": None}})
    with pytest.raises(OperationNotFound):
        edit(service, 99, {})


def test_a_value_that_looks_like_a_reference_stays_a_value(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=1)
    operation = paused_after(service, 2)
    forged = {"__result__": {"store": "file:///etc", "path": "passwd", "serializer": "json"}}

    edit(service, operation, {"result": forged, "steps": {"add-2": None, "add-3": None}})

    assert json.loads(gone_on(service, operation) or "") == {"__result__": {"value": forged}}


def test_a_worker_runs_what_was_edited(service: Service) -> None:
    gate = service.path()
    operation = service.start("shape", shape="chain", ledger=gate, stop="b")
    service.wait_until(operation, _C.PAUSED)

    edit(service, operation, {"result": "mended", "steps": {"tell-3": {"kwargs": {"name": "see"}}, "tell-4": None}})
    service.resume(operation)

    assert service.ended(operation).result == '"see(mended)"'
    assert lines_of(gate) == ["a", "b", "see"]
