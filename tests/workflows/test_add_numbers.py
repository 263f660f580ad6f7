from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from pausable.errors import ArgumentsInvalid
from pausable.workflows.shipped.add_numbers import add_numbers
from tests.workflows.conftest import run

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_a_chain_of_five_steps_of_which_the_last_saves_the_result(input_dir: Path) -> None:
    canvas = add_numbers.build(17, {})

    names = [signature["task"].rpartition(".")[2] for signature in canvas["kwargs"]["tasks"]]
    assert names == ["start_with", "add_two", "add_three", "add_four", "save_result"]
    assert canvas["kwargs"]["tasks"][-1]["args"] == (17,)


@pytest.mark.parametrize(("start", "total"), [(1, 10), (-9, 0), (10**30, 10**30 + 9)])
def test_the_result_is_the_start_and_nine(input_dir: Path, start: int, total: int) -> None:
    assert run(add_numbers.build(17, {"start": start})) == {"operation_id": 17, "total": total}


def test_a_delay_is_waited_for_in_each_addition(input_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)

    run(add_numbers.build(17, {"delay": 2.5}))

    assert waits == [2.5] * 4


@pytest.mark.parametrize("delay", [-0.1, 60.1, float("nan"), "1", True])
def test_a_delay_is_a_number_from_0_to_60(delay: object) -> None:
    with pytest.raises(ArgumentsInvalid) as refused:
        add_numbers.validate({"delay": delay})

    assert [fault["field"] for fault in refused.value.faults] == ["delay"]
