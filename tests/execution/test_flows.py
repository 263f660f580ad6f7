"""Flows on a real worker: each step as soon as its own upstream allows, and what cannot be run is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pausable import Flow
from pausable.errors import FlowCyclic, FlowMalformed
from pausable.model.states import Completion, StepState
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
    with pytest.raises(FlowMalformed, match="give uses give, a node of another flow"):
        service.start("graph-strange")


def test_a_name_is_given_once() -> None:
    flow = Flow("names")
    flow.add(give.s(1), name="one")

    with pytest.raises(FlowMalformed, match="two of its nodes are named 'one'"):
        flow.add(give.s(2), name="one")


@pytest.mark.parametrize("many", [0, 1, 5, 300])
def test_a_step_that_becomes_many_gives_what_they_give(service: Service, many: int) -> None:
    ended = service.run("grows", many=many)

    assert ended.result == str(sum(range(1, many + 1)))
    assert (ended.steps_done, ended.steps_total, ended.steps_left) == (many + 2, many + 2, 0)


@pytest.mark.parametrize(("many", "result"), [(0, "[100,[],200]"), (2, "[100,[1,2],200]")])
def test_a_member_of_a_group_grows_in_its_place(service: Service, many: int, result: str) -> None:
    assert service.run("grows-beside", many=many).result == result


@pytest.mark.parametrize(("many", "result"), [(0, "[]"), (3, "[1,2,3]")])
def test_the_last_step_grows_and_its_value_is_the_operations(service: Service, many: int, result: str) -> None:
    assert service.run("grows-last", many=many).result == result


def test_replacements_lie_within_each_other(service: Service) -> None:
    operation = service.run("grows-down", many=4)

    assert operation.result == "0"
    assert "down_to.down_to.down_to.add" in service.states(operation.id)


def test_a_step_cannot_grow_for_ever(service: Service) -> None:
    operation = service.run("grows-down", many=1000)

    assert operation.completion is Completion.FAILED
    assert "nests groups, chords or replacements more than 100 deep" in service.error(operation.id)["message"]


def test_what_cannot_be_put_in_a_steps_place_is_its_failure(service: Service) -> None:
    operation = service.run("grows-strangely")

    assert service.error(operation.id)["step"] == "strangely"
    assert "A Celery signature is expected where 42 stands" in service.error(operation.id)["message"]


def test_a_growing_operation_is_paused_between_what_it_has_become(service: Service) -> None:
    operation = service.start("grows-down", many=60)
    service.pause(operation)
    stood = service.wait_until(operation, Completion.PAUSED, Completion.COMPLETED)

    if stood.completion is Completion.PAUSED:
        service.resume(operation)

    assert service.ended(operation).result == "0"
