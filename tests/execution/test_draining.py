"""When a pause or a cancel takes effect: as soon as nothing runs, never earlier, and whatever the disk does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pausable.engine import drain as draining
from pausable.engine.claim import claim
from pausable.engine.documents import write_document
from pausable.engine.drain import drain
from pausable.model.states import Completion, StepState
from pausable.worker.sweeper import sweep
from tests.execution.flows import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from pausable.engine.documents import Snapshot
    from pausable.engine.engine import Engine
    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

_C = Completion


def test_a_pause_of_what_has_not_started_takes_effect_at_once(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("adding", numbers=[1, 2])

    service.pause(operation, reason="the disk is being changed")

    paused = service.show(operation)
    assert (paused.completion, paused.reason, paused.result) == (_C.PAUSED, "the disk is being changed", "null")
    assert service.moves(operation) == ["SCHEDULED", "REQUESTING PAUSE", "PAUSED"]
    service.resume(operation)
    service.deliver_all()
    assert service.show(operation).result == "3"


def test_a_pause_waits_for_the_step_in_hand_and_then_nothing_runs(service: Service) -> None:
    gates = [service.path(), service.path()]
    operation = service.start("gates", gates=gates)
    service.wait_for_step(operation, "wait_at-1", StepState.RUNNING)

    service.pause(operation)
    view = service.commands.show(service.ada, operation)
    assert (view.operation.completion, [step.slug for step in view.in_flight]) == (_C.REQUESTING_PAUSE, ["wait_at-1"])
    for gate in gates:
        Path(gate).touch()

    assert service.wait_until(operation, _C.PAUSED).result == "1"
    assert service.commands.show(service.ada, operation).in_flight == ()
    assert service.states(operation) == {"wait_at-1": StepState.SUCCESS, "wait_at-2": StepState.PAUSED}


def test_a_pause_waits_for_every_branch(service: Service) -> None:
    ledger, gate = service.path(), service.path()
    operation = service.start("held-beside", ledger=ledger, gate=gate)
    service.wait_for_step(operation, "tell-2", StepState.PAUSED)
    assert service.completion(operation) is _C.REQUESTING_PAUSE

    Path(gate).touch()

    service.wait_until(operation, _C.PAUSED)
    assert service.states(operation)["wait_at"] is StepState.SUCCESS
    assert lines_of(ledger) == ["a"]


def test_a_queued_step_is_held_when_its_message_is_refused(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("fan", width=3)
    claim(service.engine, operation, 0)
    service.pause(operation)
    service.change("UPDATE steps SET state = 'Success', result = '0' WHERE number = 0")
    service.change("UPDATE steps SET state = 'Queued', waiting = 0 WHERE number IN (1, 2, 3)")

    service.deliver_step(operation, 1)

    assert service.completion(operation) is _C.PAUSED
    assert list(service.states(operation).values())[1:4] == [StepState.PAUSED] * 3


def test_a_pause_is_tried_again_until_its_document_is_written(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("adding", numbers=[1, 2])
    service.settings.workflow_store.touch()

    service.pause(operation, reason="for the night")
    sweep(service.engine)
    waiting = service.show(operation)
    fault = "for the night; it cannot pause yet: workflow.json could not be written (Not a directory)"
    assert (waiting.completion, waiting.workflow_store, waiting.reason) == (_C.REQUESTING_PAUSE, None, fault)
    service.settings.workflow_store.unlink()
    sweep(service.engine)

    assert (service.completion(operation), service.show(operation).reason) == (_C.PAUSED, "for the night")
    assert service.document(operation)["operation_id"] == operation


def test_a_pause_that_is_tried_in_vain_changes_the_operation_once(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("adding", numbers=[1, 2])
    service.settings.workflow_store.touch()
    service.pause(operation)
    waiting = service.show(operation)

    sweep(service.engine)

    assert service.show(operation) == waiting


def test_a_pause_whose_document_is_not_written_may_be_withdrawn(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("adding", numbers=[1, 2])
    service.settings.workflow_store.touch()
    service.pause(operation)

    service.resume(operation)
    service.deliver_all()

    assert (service.show(operation).result, service.show(operation).reason) == ("3", None)


def test_a_pause_is_tried_again_when_the_authors_callback_raises(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("broken-callback")

    service.deliver_all()

    assert service.completion(operation) is _C.REQUESTING_PAUSE
    assert "the answer is not to be had" in str(service.show(operation).reason)
    assert service.resume(operation)
    service.deliver_all()
    assert service.show(operation).result == "2"


def test_what_happens_while_the_document_is_written_is_not_overwritten(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = by_hand()
    operation = service.start("adding", numbers=[1, 2])

    def withdraw_meanwhile(engine: Engine, snapshot: Snapshot) -> dict[str, str]:
        service.resume(operation)
        return write_document(engine, snapshot)

    monkeypatch.setattr(draining, "write_document", withdraw_meanwhile)
    service.pause(operation)

    assert service.completion(operation) is _C.IN_PROGRESS
    assert service.deliver_all() > 0
    assert service.show(operation).result == "3"


def test_draining_what_asks_for_nothing_changes_nothing(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("adding", numbers=[1, 2])
    before = service.show(operation)

    drain(service.engine, operation)
    drain(service.engine, operation + 1)

    assert service.show(operation) == before


def test_a_cancel_while_a_step_runs_keeps_its_result_and_runs_nothing_more(service: Service) -> None:
    gates = [service.path(), service.path()]
    operation = service.start("gates", gates=gates)
    service.wait_for_step(operation, "wait_at-1", StepState.RUNNING)

    service.cancel(operation)
    assert service.completion(operation) is _C.REQUESTING_CANCEL
    for gate in gates:
        Path(gate).touch()

    assert service.ended(operation).completion is _C.CANCELLED
    first, second = service.steps(operation).values()
    assert (first.state, first.result, second.state) == (StepState.SUCCESS, "1", StepState.CANCELLED)
    assert service.show(operation).result is None


def test_a_cancel_waits_for_every_branch(service: Service) -> None:
    gate = service.path()
    operation = service.start("failing-beside", gate=gate)
    service.wait_for_step(operation, "fail", StepState.FAILED)
    service.wait_for_step(operation, "wait_at", StepState.RUNNING)
    service.cancel(operation)

    Path(gate).touch()

    assert service.ended(operation).completion is _C.CANCELLED
    assert service.states(operation)["add"] is StepState.CANCELLED


def test_a_paused_operation_that_is_cancelled_carries_no_value(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=1)
    operation = service.start("adding", numbers=[1, 2])
    service.deliver()
    service.pause(operation)
    assert json.loads(service.show(operation).result or "null") == 1

    service.cancel(operation)

    assert (service.completion(operation), service.show(operation).result) == (_C.CANCELLED, None)


def test_an_operation_that_fails_after_a_pause_carries_no_value(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=1)
    operation = service.start("failing")
    service.deliver()
    service.pause(operation)

    service.resume(operation)
    service.deliver_all()

    assert (service.completion(operation), service.show(operation).result) == (_C.FAILED, None)
