"""How the console writes figures and values, also those that no page can hold as they are."""

from __future__ import annotations

import json

import pytest

from app.web.console import wording
from pausable.db.statements import COUNTED
from pausable.model.states import Completion


def test_json_is_shown_in_lines() -> None:
    assert wording.pretty('{"sum":12}') == '{\n  "sum": 12\n}'


@pytest.mark.parametrize(
    "text", ['"\\ud800"', json.dumps({"half": "\udfff"}), "[" * 5000 + "1" + "]" * 5000, '"é\u2028"']
)
def test_whatever_json_can_write_can_be_sent(text: str) -> None:
    assert wording.pretty(text).encode()


def test_json_that_is_long_is_cut() -> None:
    shown = wording.pretty(json.dumps(list(range(10_000))))

    assert len(shown) == wording.SHOWN + 2
    assert shown.endswith("\n…")


def test_an_error_can_be_sent_whatever_it_says() -> None:
    told = wording.fault(json.dumps({"step": "one", "type": "Odd", "message": "half \ud800", "traceback": None}))

    assert told == {"step": "one", "type": "Odd", "message": "half ?"}
    assert wording.fault(None) == {}


def test_a_part_is_100_percent_only_when_all_is_done() -> None:
    assert [wording.percent(part) for part in (0, 0.999999, 1)] == ["0 %", "99 %", "100 %"]


def test_operations_are_counted_as_far_as_they_were() -> None:
    assert [wording.counted(number) for number in (0, COUNTED, COUNTED + 1)] == ["0", "10,000", "10,000+"]


@pytest.mark.parametrize("completion", Completion)
def test_every_completion_has_a_mark(completion: Completion) -> None:
    assert wording.MARKS[completion]
