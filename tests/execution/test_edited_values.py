"""What counts as a change of a value in an edit, which values are no arguments, and what of them is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pausable.errors import EditRefused
from pausable.secrets import Secret
from tests.execution.test_editing import diffs, edit, gone_on, paused_after

if TYPE_CHECKING:
    from tests.execution.test_editing import ByHand


@pytest.mark.parametrize("task", [None, {"task": "tests.execution.flows.tell"}, "tests.execution.flows.tell"])
def test_what_a_step_maps_is_no_argument_of_it(by_hand: ByHand, task: Any) -> None:
    service = by_hand(slice_steps=1)
    operation = paused_after(service, 1, "mapped")

    with pytest.raises(EditRefused, match="step 'map' maps a task, and no other can take its place"):
        edit(service, operation, {"steps": {"map": {"kwargs": {"task": task}}}})
    with pytest.raises(EditRefused, match="maps a task"):
        edit(service, operation, {"steps": {"map": {"kwargs": None}}})

    assert edit(service, operation, {"steps": {"map": {"kwargs": {"it": [4, 5]}}}})
    assert gone_on(service, operation) == "[4,5]"


@pytest.mark.parametrize("patch", [{"result": True}, {"result": 1.0}, {"steps": {"add": {"args": [True]}}}])
def test_one_is_neither_true_nor_a_fraction(by_hand: ByHand, patch: Any) -> None:
    service = by_hand(slice_steps=1)
    operation = paused_after(service, 1, numbers=[1, 1])

    assert edit(service, operation, patch)

    (place,) = diffs(service, operation)[0]
    assert type(place["old"]) is not type(place["new"]) or place["new"] == [True]


def test_a_number_that_is_a_secret_is_named_in_the_diff(by_hand: ByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    service = by_hand(slice_steps=1)
    operation = paused_after(service, 1, numbers=[1, 271828])
    monkeypatch.setenv("PIN", "271828")
    Secret("PIN").get()

    edit(service, operation, {"steps": {"add": {"args": [7]}}})

    assert diffs(service, operation) == [[{"at": "steps.add.args", "old": ["<secret PIN>"], "new": [7]}]]
