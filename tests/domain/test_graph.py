"""The graph of steps: what a step takes in, what it waits for, and how it is named."""

from __future__ import annotations

from pausable.model.graph import Graph, Node, full_signature, gather, numbers_in, slugs_for


def node(number: int, **given: object) -> Node:
    return Node(number, f"add-{number}", {"task": "sums.add"}, **given)  # type: ignore[arg-type]


def test_a_step_waits_for_its_inputs_and_for_what_it_comes_after_each_once() -> None:
    step = node(9, inputs=[3, [1, 3], []], after=(2, 1))

    assert step.upstream == [1, 2, 3]


def test_a_first_step_waits_for_nothing() -> None:
    assert node(0).upstream == []


def test_a_step_is_called_by_the_registered_name_of_its_task() -> None:
    assert node(0).task == "sums.add"


def test_edges_are_ordered_by_the_step_that_waits() -> None:
    graph = Graph((node(0), node(1, inputs=0), node(2, inputs=0), node(3, inputs=[2, 1])), result=3)

    assert graph.edges() == [(0, 1), (0, 2), (1, 3), (2, 3)]


def test_gathering_puts_results_in_the_shape_of_the_inputs() -> None:
    results = {0: "a", 1: None, 2: ["c"]}

    assert gather([0, [1, 2], []], results) == ["a", [None, ["c"]], []]
    assert gather(1, results) is None


def test_no_inputs_gather_to_none() -> None:
    assert gather(None, {}) is None


def test_numbers_are_told_from_left_to_right() -> None:
    assert list(numbers_in([2, [0, 2], 1])) == [2, 0, 2, 1]


def test_a_full_signature_has_all_that_celery_asks_for() -> None:
    full = full_signature({"task": "sums.add", "args": [1]})

    blank: dict[str, object] = {"kwargs": {}, "options": {}, "subtask_type": None, "immutable": False}
    assert full == {"task": "sums.add", "args": [1], **blank}


def test_a_task_used_once_lends_its_name_and_one_used_more_often_is_numbered() -> None:
    assert slugs_for(["shop.clean", "sums.add", "other.add"]) == ["clean", "add-1", "add-2"]


def test_a_number_that_a_task_has_in_its_name_is_not_given_twice() -> None:
    assert slugs_for(["add", "add-1", "add"]) == ["add-2", "add-1", "add-3"]


def test_ten_thousand_steps_have_as_many_names() -> None:
    assert len(set(slugs_for(["add", "add-7"] * 5_000))) == 10_000
