"""Edits are taken back: one by one, until a step has started since."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pausable.errors import NothingToUndo, UndoTooLate
from pausable.model.states import Completion
from tests.execution.test_editing import edit, gone_on, paused_after, rows, undo

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

_C = Completion


def test_edits_are_taken_back_one_by_one(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=1)
    operation = paused_after(service, 2)
    start = rows(service, operation)
    edit(service, operation, {"steps": {"add-2": {"args": [30]}}})
    first = rows(service, operation)
    edit(service, operation, {"result": 100, "steps": {"add-3": None, "add-2": {"args": [31]}}})

    undo(service, operation)
    assert [row[1:3] for row in rows(service, operation)[:-1]] != [row[1:3] for row in start[:-1]]
    assert json.loads(rows(service, operation)[2][1])["args"] == json.loads(first[2][1])["args"] == [30]
    undo(service, operation)
    assert service.document(operation)["result"] == 3
    with pytest.raises(NothingToUndo):
        undo(service, operation)

    assert gone_on(service, operation) == "10"


def test_after_a_resume_it_is_taken_back_until_a_step_has_started(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=1)
    operation = paused_after(service, 2)
    edit(service, operation, {"steps": {"add-2": {"args": [30]}}})
    edit(service, operation, {"steps": {"add-3": {"args": [40]}}})
    service.resume(operation)

    undo(service, operation)
    service.deliver()
    with pytest.raises(UndoTooLate):
        undo(service, operation)
    service.deliver_all()

    assert service.show(operation).result == "37"


def test_a_pause_after_that_does_not_bring_the_undo_back(by_hand: ByHand) -> None:
    service = by_hand(slice_steps=1)
    operation = paused_after(service, 1)
    edit(service, operation, {"steps": {"add-3": {"args": [40]}}})
    service.resume(operation)
    service.deliver()
    service.pause(operation)

    with pytest.raises(UndoTooLate):
        undo(service, operation)
    edit(service, operation, {"result": 0})
    undo(service, operation)
    with pytest.raises(UndoTooLate):
        undo(service, operation)


def test_a_worker_runs_what_was_before_an_edit_that_was_taken_back(service: Service) -> None:
    ledger = service.path()
    operation = service.start("shape", shape="chain", ledger=ledger, stop="b")
    service.wait_until(operation, _C.PAUSED)

    edit(service, operation, {"steps": {"tell-3": None, "tell-4": None}})
    undo(service, operation)
    service.resume(operation)

    assert service.ended(operation).result == '"d(c(b(a(-))))"'
