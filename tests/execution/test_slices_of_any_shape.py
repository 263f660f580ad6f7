"""An operation of any shape, run step by step through documents, ends as it does in one go."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from pausable.documents.model import compose, encode, facts_of
from pausable.documents.signing import Keys
from pausable.engine.local import Budget
from pausable.service.transfer import advance
from tests.databases import on_sqlite_alone
from tests.execution.service import FLOWS
from tests.execution.test_any_triggers import SHAPES

if TYPE_CHECKING:
    from tests.execution.moving import ByHand
    from tests.execution.service import Service

SEED = random.SystemRandom().getrandbits(32)
#: Steps that a random canvas has at the most.
MANY = 500


@pytest.fixture
def service(by_hand: ByHand) -> Service:
    return by_hand(flows=(*FLOWS, "tests.execution.graph_flows"))


def gone_on(service: Service, document: dict[str, Any], steps: int | None) -> dict[str, Any]:
    return advance(encode(document), Budget(steps), service.commands.workflows, Keys())


def step_by_step(service: Service, document: dict[str, Any]) -> dict[str, Any]:
    """The document of the end, each slice of one step having been through bytes."""
    for number in range(1, MANY):
        document = gone_on(service, document, 1)
        assert document["slice"] == number
        assert without_results(compose(*facts_of(document))) == without_results(document)
        if document["completion"] != "PAUSED":
            return document
    raise AssertionError(document)


def without_results(document: dict[str, Any]) -> dict[str, Any]:
    """All but the results of steps: a trigger needs more of them, and only the code tells who has one."""
    told: dict[str, Any] = json.loads(encode(document))
    for step in told["steps"]:
        step["state"].pop("result")
    return told


def standing(document: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """Where each step stands, and how often it has run."""
    return {step["task"]["slug"]: (step["state"]["type"], step.get("runs", 0)) for step in document["steps"]}


def end_alike(service: Service, workflow: str, arguments: dict[str, Any]) -> str:
    """Run it in one go and step by step; how both have ended."""
    by_hand = {"workflow": workflow, "arguments": arguments}
    ended, apart = gone_on(service, by_hand, None), step_by_step(service, by_hand)
    for fact in ("completion", "result", "workflow", "arguments"):
        assert apart[fact] == ended[fact]
    assert {*standing(apart).values()} == {*standing(ended).values()}
    assert standing(apart) == standing(ended)
    return str(apart["completion"])


@on_sqlite_alone
@pytest.mark.parametrize("number", range(8))
def test_random_canvases_end_alike(service: Service, number: int) -> None:
    print(f"seed {SEED + number}")  # noqa: T201

    assert end_alike(service, "random", {"seed": SEED + number}) == "COMPLETED"


@on_sqlite_alone
@pytest.mark.parametrize(
    ("workflow", "arguments", "completion"),
    [
        ("grows", {"many": 3}, "COMPLETED"),
        ("grows", {"many": 0}, "COMPLETED"),
        ("grows-beside", {"many": 2}, "COMPLETED"),
        ("grows-last", {"many": 2}, "COMPLETED"),
        ("grows-down", {"many": 3}, "COMPLETED"),
        ("grows-strangely", {}, "FAILED"),
        ("graph-nested", {}, "COMPLETED"),
        ("failing", {}, "FAILED"),
        ("tuples", {}, "COMPLETED"),
    ],
)
def test_graphs_that_grow_or_fail_end_alike(
    service: Service, workflow: str, arguments: dict[str, Any], completion: str
) -> None:
    assert end_alike(service, workflow, arguments) == completion


@on_sqlite_alone
def test_random_steps_with_triggers_end_alike(service: Service) -> None:
    print(f"seed {SEED}")  # noqa: T201
    limits = settings(
        max_examples=12, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )

    @seed(SEED)
    @limits
    @given(SHAPES)
    def case(shape: Any) -> None:
        end_alike(service, "decided", {"shape": shape})

    case()
