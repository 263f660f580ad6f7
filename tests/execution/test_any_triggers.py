"""Random canvases of steps with random triggers end, step by step, as a small model of Prefect 1's rules says.

One rule differs, and is meant to: a step of the default trigger with both a failed and a skipped one before it has
failed, while Prefect 1 skips it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from pausable.model.states import Completion
from tests.amounts import usually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

GOOD = {"Success", "Skipped"}
BAD = {"Failed", "TriggerFailed"}

#: Whether a step runs whose upstreams ended so.
RULES: dict[str, Callable[[list[str]], bool]] = {
    "all_successful": lambda ends: set(ends) <= GOOD,
    "all_failed": lambda ends: set(ends) <= BAD,
    "any_successful": lambda ends: bool(set(ends) & GOOD),
    "any_failed": lambda ends: bool(set(ends) & BAD),
    "all_finished": lambda _ends: True,
    "at_least_2": lambda ends: sum(end in GOOD for end in ends) >= 2,
    "half": lambda ends: 2 * sum(end in GOOD for end in ends) >= len(ends),
    "raising": lambda _ends: False,
}

STEPS = st.tuples(
    st.sampled_from(["Success", "Success", "Failed", "Skipped"]),
    st.sampled_from(["all_successful", "all_successful", *RULES]),
    st.sampled_from(["", "!"]),
).map(lambda told: [told[0], told[1] + told[2]])


def of_parts(kind: str, part: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(part, min_size=2, max_size=3).map(lambda parts: [kind, *parts])


PARTS = st.recursive(STEPS, lambda part: of_parts("chain", part) | of_parts("group", part), max_leaves=9)
SHAPES = of_parts("chain", PARTS)


def expected(told: dict[int, tuple[str, str]], edges: list[tuple[int, int]]) -> dict[int, str]:
    """How each step ends, in their order: upstreams have smaller numbers."""
    ends: dict[int, str] = {}
    for number, (how, judge) in sorted(told.items()):
        ends[number] = _end(how, judge, [ends[up] for up, down in edges if down == number])
    return ends


def _end(how: str, judge: str, upstream: list[str]) -> str:
    rule, minds_skips = judge.removesuffix("_regardless"), not judge.endswith("_regardless")
    is_failed_already = rule == "all_successful" and bool(set(upstream) & BAD)
    if minds_skips and "Skipped" in upstream and not is_failed_already:
        return "Skipped"
    return how if not upstream or RULES[rule](upstream) else "TriggerFailed"


def read(service: Service, operation: int) -> tuple[dict[int, tuple[str, str]], list[tuple[int, int]]]:
    """How each step was told to end and under which rule, and the edges between them."""
    rows = service.read("SELECT number, signature FROM steps WHERE operation_id = ?", operation)
    calls = {number: json.loads(signature) for number, signature in rows}
    told = {number: (call["args"][0], call["task"].rpartition(".")[2]) for number, call in calls.items()}
    edges = service.read("SELECT upstream, downstream FROM edges WHERE operation_id = ?", operation)
    return told, [(up, down) for up, down in edges]


@pytest.fixture
def service(by_hand: ByHand) -> Service:
    return by_hand()


@settings(max_examples=usually(15, long=60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=SHAPES)
def test_steps_of_any_canvas_end_as_their_triggers_say(service: Service, shape: Any) -> None:
    operation = service.start("decided", shape=shape)
    service.deliver_all()

    told, edges = read(service, operation)
    ends = expected(told, edges)
    found = service.read("SELECT number, state FROM steps WHERE operation_id = ?", operation)
    note(f"{told=} {edges=}")
    assert dict(found) == ends
    leaves = [end for number, end in ends.items() if number not in {up for up, _ in edges}]
    wanted = Completion.FAILED if set(leaves) & BAD else Completion.COMPLETED
    assert service.completion(operation) is wanted
