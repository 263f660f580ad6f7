"""Flows on a real worker: each step as soon as its own upstream allows, and what cannot be run is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app.domain.states import Completion, StepState
from app.errors import FlowCyclic, FlowMalformed
from app.workflows import Flow
from tests.execution.graph_flows import give
from tests.execution.pausing import in_database
from tests.execution.service import Service, make_service

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def service(broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("flows")
    service = make_service(folder, in_database(broker_url, 10), lease=1.5, flows=("tests.execution.graph_flows",))
    service.queue.flushdb()
    with service.at_work(), service.working():
        yield service
    service.close()


def test_a_node_takes_the_place_of_its_value_however_deep_it_is_given(service: Service) -> None:
    ended = service.run("graph-nested")

    assert ended.completion is Completion.COMPLETED
    # one=1, two=2, three=3, many=[13, 23], line=2+5+3=10
    assert ended.result == str(1 + 13 + 23 + 3 + 10)


def test_a_step_waits_for_its_own_upstream_and_for_no_level(service: Service) -> None:
    assert service.run("graph-no-barrier", file=service.path()).result == "101"


def test_a_flow_with_several_ends_gives_their_values_in_order(service: Service) -> None:
    assert service.run("graph-several").result == "[1,1,5]"


def test_a_node_with_a_name_is_a_step_of_that_slug(service: Service) -> None:
    operation = service.run("graph-nested")

    assert service.states(operation.id)["second"] is StepState.SUCCESS


def test_a_paused_flow_goes_on_where_it_was(service: Service) -> None:
    operation = service.start("graph-line", length=400)
    service.pause(operation)
    paused = service.wait_until(operation, Completion.PAUSED, Completion.COMPLETED)

    if paused.completion is Completion.PAUSED:
        service.resume(operation)

    assert service.ended(operation).result == "400"


def test_a_cycle_is_refused_with_its_path(service: Service) -> None:
    with pytest.raises(FlowCyclic, match="wait for each other: one → two → one") as refused:
        service.start("graph-cyclic")

    assert refused.value.path == ["one", "two", "one"]


def test_a_node_of_another_flow_is_refused(service: Service) -> None:
    with pytest.raises(FlowMalformed, match="give is given give, a node of another flow"):
        service.start("graph-strange")


def test_a_name_is_given_once() -> None:
    flow = Flow("names")
    flow.add(give.s(1), name="one")

    with pytest.raises(FlowMalformed, match="two of its nodes are called 'one'"):
        flow.add(give.s(2), name="one")
