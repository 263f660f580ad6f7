from __future__ import annotations

from typing import Any

import pytest

from pausable.documents.model import StepFacts
from pausable.documents.patch import SKIP_TASK, Edited, edited, merged
from pausable.errors import PatchUnfit
from pausable.model.states import StepState

_S = StepState


def fact(number: int, state: StepState = _S.PENDING, inputs: Any = None, **call: Any) -> StepFacts:
    """A step of that number and slug."""
    blank: dict[str, Any] = {
        "task": "add",
        "args": [],
        "kwargs": {},
        "options": {},
        "subtask_type": None,
        "immutable": False,
    }
    return StepFacts(number, f"s{number}", state, {**blank, **call}, inputs, (), None, None, None)


def changed(steps: list[StepFacts], patch: Any, **results: Any) -> Edited:
    return edited(steps, {int(name[1:]): value for name, value in results.items()}, patch)


@pytest.mark.parametrize(
    ("target", "patch", "made"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_does_what_the_examples_of_rfc_7396_show(target: Any, patch: Any, made: Any) -> None:
    assert merged(target, patch) == made


def test_a_merge_patch_leaves_its_target_as_it_is() -> None:
    target = {"a": {"b": 1}}

    assert merged(target, {"a": {"b": 2}}) == {"a": {"b": 2}}
    assert target == {"a": {"b": 1}}


def test_only_the_named_parts_of_a_call_change() -> None:
    step = fact(1, _S.PAUSED, 0, args=[3], kwargs={"x": 1}, options={"queue": "heavy"})

    made = changed([fact(0, _S.SUCCESS), step], {"steps": {"s1": {"kwargs": {"x": None, "y": 2}}}}, s0=9)

    assert made.calls == {1: {**step.signature, "kwargs": {"y": 2}}}
    assert made.results == {}
    assert made.diff == [
        {"at": "steps.s1.kwargs.x", "old": 1, "new": None},
        {"at": "steps.s1.kwargs.y", "old": None, "new": 2},
    ]


def test_a_skipped_step_keeps_no_arguments_of_its_own_but_those_that_results_are_put_into() -> None:
    handed = fact(1, _S.PAUSED, 0, args=[3], options={"queue": "heavy"})
    bound = fact(2, inputs={"first": None, "at": [[["args", 0], 0]]}, args=[None, 5], kwargs={"z": 1})

    made = changed([fact(0, _S.SUCCESS), handed, bound], {"steps": {"s1": None, "s2": {"skip": True}}}, s0=9)

    assert [(call["task"], call["args"], call["kwargs"], call["options"]) for call in made.calls.values()] == [
        (SKIP_TASK, [], {}, {}),
        (SKIP_TASK, [None, 5], {"z": 1}, {}),
    ]


def test_what_is_handed_in_lists_is_given_in_lists() -> None:
    steps = [fact(0, _S.SUCCESS), fact(1, _S.SUCCESS), fact(2, _S.PAUSED, [0, [1]])]

    assert changed(steps, {"result": [7, [8]]}, s0=7, s1=6).results == {1: 8}
    for wrong in (7, [7], [7, 8], [7, [8, 9]]):
        with pytest.raises(PatchUnfit, match="list of"):
            changed(steps, {"result": wrong}, s0=7, s1=6)


def test_steps_that_are_handed_different_things_are_given_a_list() -> None:
    steps = [fact(0, _S.SUCCESS), fact(1, _S.SUCCESS), fact(2, _S.PAUSED, 0), fact(3, _S.PAUSED, [0, 1])]

    assert changed(steps, {"result": [5, [5, 6]]}, s0=1, s1=2).results == {0: 5, 1: 6}
    with pytest.raises(PatchUnfit, match="the same result"):
        changed(steps, {"result": [5, [4, 6]]}, s0=1, s1=2)


def test_null_is_a_value_that_can_be_handed_over() -> None:
    made = changed([fact(0, _S.SUCCESS), fact(1, _S.PAUSED, 0)], {"result": None}, s0=4)

    assert made.results == {0: None}
    assert made.diff == [{"at": "result", "old": 4, "new": None}]


def test_what_is_skipped_is_not_edited_and_skipping_it_again_changes_nothing() -> None:
    steps = [fact(0, _S.PAUSED, task=SKIP_TASK)]

    assert changed(steps, {"steps": {"s0": None}}) == Edited({}, {}, [])
    for part in ({"skip": False}, {"args": [1]}):
        with pytest.raises(PatchUnfit, match="undo that first"):
            changed(steps, {"steps": {"s0": part}})
