"""A step that put others in its own place and runs again: the second growth takes the place of the first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pausable import Flow
from pausable.errors import DocumentMalformed
from pausable.model.states import Completion
from tests.execution.graph_flows import fan_out, give
from tests.execution.moving import exported, imported
from tests.execution.pausing import in_database
from tests.execution.service import Service, make_service, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.execution.moving import ByHand


@pytest.fixture(scope="module")
def service(broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("growing")
    service = make_service(folder, in_database(broker_url, 10), lease=1.5, flows=("tests.execution.growing_flows",))
    service.queue.flushdb()
    with service.at_work(), service.working():
        yield service
    service.close()


@pytest.mark.parametrize(
    ("first", "then", "result"),
    [
        (2, 3, "[1,2,3]"),
        (3, 1, "[1]"),
        (0, 2, "[1,2]"),
        (2, 0, "[]"),
        (2, "plain", "7"),
        ("plain", 2, "[1,2]"),
        ("deep", 1, "[1]"),
        (1, "deep", "[1,2]"),
    ],
)
def test_what_grows_again_has_the_value_of_the_second_growth(
    service: Service, first: Any, then: Any, result: str
) -> None:
    file = service.path()
    operation = service.run("regrows", file=file, first=first, then=then)
    assert operation.completion is Completion.FAILED

    Path(file).touch()
    service.retry(operation.id)
    ended = service.ended(operation.id)

    assert (ended.completion, ended.result) == (Completion.COMPLETED, f"[{result},1]")
    slugs = [slug for (slug,) in service.read("SELECT slug FROM steps WHERE operation_id = ?", operation.id)]
    assert len(slugs) == len(set(slugs)) == ended.steps_total == ended.steps_done


def test_both_databases_take_a_growth_back(by_hand: ByHand) -> None:
    service = by_hand(flows=("tests.execution.growing_flows",))
    file = service.path()
    with service.at_work():
        operation = service.start("regrows", file=file, first="deep", then=3)
        service.deliver_all()
        Path(file).touch()

        service.retry(operation)
        service.deliver_all()

    assert service.show(operation).result == "[[1,2,3],1]"


def test_a_number_that_a_removed_step_had_is_given_to_no_other(service: Service) -> None:
    file = service.path()
    operation = service.run("regrows", file=file, first=2, then=2)
    before = {step.number for step in service.steps(operation.id).values()}

    Path(file).touch()
    service.retry(operation.id)
    service.ended(operation.id)

    grown = {step.number for slug, step in service.steps(operation.id).items() if "." in slug}
    assert grown.isdisjoint(before)


@pytest.mark.parametrize("first", [0, 2, "deep"])
def test_what_grew_is_paused_and_retried_elsewhere_as_here(service: Service, first: Any) -> None:
    file = service.path()
    operation = service.run("regrows", file=file, first=first, then=3)
    document = json.loads(exported(service, operation.id))
    document["origin"]["installation"] = "elsewhere"

    moved = imported(service, json.dumps(document).encode(), trust=True)
    Path(file).touch()
    service.retry(moved)

    assert service.ended(moved).result == "[[1,2,3],1]"


def test_a_document_in_which_a_step_stands_for_itself_is_refused(service: Service) -> None:
    operation = service.run("regrows", file=service.path(), first=2, then=3)
    document = json.loads(exported(service, operation.id))
    document["origin"]["installation"] = "nowhere"
    grown = next(step for step in document["steps"] if step.get("growth"))
    grown["growth"]["value"] = grown["task"]["slug"]

    with pytest.raises(DocumentMalformed, match="stand for steps before it, or for itself"):
        imported(service, json.dumps(document).encode(), trust=True)


def test_a_step_that_grows_after_another_has_failed_hands_its_value_on_at_a_retry(service: Service) -> None:
    file, go = service.path(), service.path()
    operation = service.start("grows-beside-a-failure", file=file, go=go)
    wait_for(lambda: str(service.states(operation).get("fails_until")) == "Failed")
    Path(go).touch()
    service.ended(operation)

    Path(file).touch()
    service.retry(operation)

    assert service.ended(operation).result == "[1,[1,2]]"


def test_the_errbacks_of_a_step_that_is_replaced_are_called_for_what_takes_its_place(service: Service) -> None:
    told = service.path()

    operation = service.run("grows-and-fails", file=service.path(), told=told)

    assert operation.completion is Completion.FAILED
    wait_for(lambda: Path(told).exists() and Path(told).read_text() == "told\n")


def test_a_name_that_is_taken_is_given_to_no_step_that_grows(service: Service) -> None:
    operation = service.run("grows-into-a-name")

    assert operation.result == "[[1],3]"
    assert {"fan", "fan.add", "fan~2.add"} == set(service.states(operation.id))


def test_a_node_that_was_replaced_has_the_value_of_what_took_its_place() -> None:
    flow = Flow("grows")
    node = flow.add(fan_out.s(2))
    flow.add(give.s(node))

    state = flow.run()

    assert state.result[node].result == [1, 2]
