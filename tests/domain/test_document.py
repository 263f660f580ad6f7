from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pausable.documents.model import (
    Head,
    StepFacts,
    carried_value,
    compose,
    digest_of,
    encode,
    in_order,
    point_signature,
    remaining,
)
from pausable.model.graph import PausePoint
from pausable.model.identity import Origin
from pausable.model.states import StepState

if TYPE_CHECKING:
    from pausable.model.graph import Inputs

_S = StepState


def facts(number: int, state: StepState, inputs: Inputs = None, **more: Any) -> StepFacts:
    given: dict[str, Any] = {"upstream": (), "point": None, "result": None, "error": None} | more
    return StepFacts(number, f"add-{number}", state, {"task": f"add{number}"}, inputs, **given)


def head(outcome: Inputs, arguments: dict[str, Any] | None = None) -> Head:
    return Head(7, "Zählen", arguments or {}, outcome, Origin("here", 7))


def names(chain: list[dict[str, Any]]) -> list[str]:
    return [link["task"].rpartition(".")[2] for link in chain]


def test_what_remains_is_what_has_not_ended_with_the_points_between() -> None:
    point = PausePoint(1)
    steps = [
        facts(0, _S.SUCCESS, result=1),
        facts(1, _S.PAUSED, 0, point=point),
        facts(2, _S.PENDING, 1, point=PausePoint(2)),
        facts(3, _S.PENDING, 2),
    ]

    assert names(remaining(7, steps)) == ["add1", "pause_or_continue", "add2", "add3"]


def test_steps_that_were_put_in_anothers_place_stand_before_what_waits_for_them() -> None:
    """1 has put 3 and 4 in its own place."""
    upstream = {0: (), 1: (0,), 2: (4,), 3: (), 4: (3,)}

    ordered = in_order([facts(number, _S.PENDING, upstream=ups) for number, ups in upstream.items()])

    assert [step.number for step in ordered] == [0, 1, 3, 4, 2]


@pytest.mark.parametrize("state", [_S.SUCCESS, _S.FAILED, _S.TRIGGER_FAILED, _S.CANCELLED])
def test_a_step_that_has_ended_does_not_remain(state: StepState) -> None:
    assert remaining(7, [facts(0, state)]) == []


@pytest.mark.parametrize("state", [_S.PENDING, _S.QUEUED, _S.RUNNING, _S.RETRYING, _S.PAUSED])
def test_a_step_that_has_not_ended_remains(state: StepState) -> None:
    assert remaining(7, [facts(0, state)]) == [{"task": "add0"}]


def test_a_point_is_written_as_the_signature_that_asks_for_its_operation() -> None:
    point = point_signature(7, PausePoint(1))

    assert point["task"] == "operations.pause_or_continue"
    assert [point["kwargs"][role]["task"] for role in ("clause", "callback")] == [
        "operations.should_pause",
        "operations.save_state",
    ]
    assert point["kwargs"]["clause"]["args"] == point["kwargs"]["callback"]["args"] == [7]


def test_a_point_keeps_the_authors_own_clause_and_callback() -> None:
    point = point_signature(7, PausePoint(1, clause={"task": "due"}, callback={"task": "keep"}))

    assert point["kwargs"] == {"clause": {"task": "due"}, "callback": {"task": "keep"}}


@pytest.mark.parametrize(
    ("steps", "carried"),
    [
        ([facts(0, _S.SUCCESS, result=1), facts(1, _S.PAUSED, 0)], 1),
        ([facts(0, _S.SUCCESS, result=1), facts(1, _S.QUEUED, 0)], 1),
        ([facts(0, _S.SUCCESS, result=1), facts(1, _S.RETRYING, 0)], 1),
        ([facts(0, _S.SUCCESS, result=None), facts(1, _S.PAUSED, 0)], None),
        ([facts(0, _S.PAUSED)], None),
        ([facts(0, _S.SUCCESS, result=1), facts(1, _S.SUCCESS, result=2), facts(2, _S.PAUSED, [0, 1])], [1, 2]),
        ([facts(0, _S.SUCCESS, result=1), facts(1, _S.PAUSED, 0), facts(2, _S.PAUSED, 0)], 1),
        (
            [
                facts(0, _S.SUCCESS, result=1),
                facts(1, _S.SUCCESS, result=2),
                facts(2, _S.PAUSED, 0),
                facts(3, _S.PAUSED, 1),
            ],
            [1, 2],
        ),
    ],
)
def test_the_carried_value_is_what_the_held_steps_are_handed(steps: list[StepFacts], carried: Any) -> None:
    assert carried_value(steps) == carried


def test_only_results_that_the_rest_or_the_outcome_needs_are_kept() -> None:
    steps = [
        facts(0, _S.SUCCESS, result="gone"),
        facts(1, _S.SUCCESS, 0, result="handed on"),
        facts(2, _S.SUCCESS, 0, result="part of the outcome"),
        facts(3, _S.PAUSED, 1),
    ]

    document = compose(head([2, 3]), steps)

    results = [step["state"]["result"] for step in document["steps"]]
    assert results == [None, "handed on", "part of the outcome", None]


def test_a_failed_step_says_why() -> None:
    steps = [
        facts(0, _S.FAILED, error={"type": "ValueError", "message": "no 7"}),
        facts(1, _S.TRIGGER_FAILED, upstream=(0,)),
    ]

    failed, never = compose(head(1), steps)["steps"]

    assert failed["state"] == {"type": "Failed", "message": "no 7", "result": None}
    assert never["upstream"] == ["add-0"]


def test_the_file_holds_the_document_as_json_and_its_digest_tells_every_change() -> None:
    document = compose(head(None, {"name": "北"}), [facts(0, _S.PAUSED)])

    content = encode(document)

    assert json.loads(content) == document
    assert "北".encode() in content
    assert len({digest_of(content), digest_of(content + b" "), digest_of(b"")}) == 3


def test_a_document_may_hold_text_that_utf_8_has_no_bytes_for() -> None:
    document = compose(head(None, {"file": "caf\udce9"}), [facts(0, _S.PAUSED)])

    assert json.loads(encode(document)) == document
