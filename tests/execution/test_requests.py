"""`self.request` holds what plain Celery puts there."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pausable.model.states import Completion
from tests.databases import both_when_long
from tests.execution.request_flows import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]


database_kind = both_when_long()


def told(service: Service, kind: str) -> Any:
    operation = service.start("requests", kind=kind)
    service.deliver_all()
    assert service.completion(operation) is Completion.COMPLETED, service.show(operation)
    return json.loads(service.show(operation).result or "null")


def test_ids_are_uuids_and_lead_from_parent_to_child(by_hand: ByHand) -> None:
    found = told(by_hand(), "line")

    a, b, c = (found[name] for name in "abc")
    assert len({UUID(one["id"]) for one in (a, b, c)}) == 3
    assert [one["parent_id"] for one in (a, b, c)] == [None, a["id"], b["id"]]
    assert {one["root_id"] for one in (a, b, c)} == {a["id"]}
    assert [one["correlation_id"] for one in (a, b, c)] == [a["id"], b["id"], c["id"]]


def test_an_immutable_step_has_the_step_before_it_as_its_parent(by_hand: ByHand) -> None:
    found = told(by_hand(), "chain")

    assert found["c"]["parent_id"] is not None
    assert found["c"]["root_id"] != found["c"]["id"]


def test_members_of_a_group_share_its_id_and_know_their_places(by_hand: ByHand) -> None:
    found = told(by_hand(), "group")

    a, b, c, d, e = (found[name] for name in "abcde")
    assert UUID(b["group"]) == UUID(d["group"])
    assert [one["group"] for one in (a, c, e)] == [None, None, b["group"]]
    assert [b["group_index"], d["group_index"]] == [0, 1]
    assert [one["parent_id"] for one in (b, c, d, e)] == [a["id"], a["id"], c["id"], d["id"]]


def test_headers_are_found_by_name_and_take_the_place_of_nothing(by_hand: ByHand) -> None:
    found = told(by_hand(), "headers")

    assert (found["a"]["tenant"], found["a"]["headers"]["tenant"]) == ("blue", "blue")
    assert UUID(found["a"]["id"]).version == 5
    assert (found["b"]["tenant"], found["b"]["headers"]) == (None, {})  # Celery hands headers on to no other task


def test_stamps_are_told_to_every_step_that_has_them(by_hand: ByHand) -> None:
    found = told(by_hand(), "stamps")

    for name in "ab":
        assert found[name]["stamps"] == {"tenant": "blue"}
        assert found[name]["stamped_headers"] == ["tenant"]


def test_an_id_that_the_author_gives_is_kept(by_hand: ByHand) -> None:
    found = told(by_hand(), "named")

    assert found["a"]["id"] == "my-id"
    assert found["b"]["parent_id"] == found["b"]["root_id"] == "my-id"


def test_limits_and_times_are_told(by_hand: ByHand) -> None:
    service = by_hand()

    assert told(service, "limits")["a"]["timelimit"] == [60, 40]
    assert told(service, "line")["a"]["timelimit"] == [None, None]
    assert told(service, "own limits") == [None, 50]


def test_a_step_that_is_retried_keeps_its_id_and_is_told_when_it_was_due(service: Service) -> None:
    operation = service.run("requests", kind="again")

    assert operation.completion is Completion.COMPLETED, operation.error
    (first, second), has_eta = json.loads(operation.result or "null")
    assert first == second == str(UUID(first))
    assert has_eta


def test_a_step_with_a_countdown_is_told_when_it_was_due(service: Service) -> None:
    operation = service.run("requests", kind="eta")

    eta = json.loads(operation.result or "null")["a"]["eta"]
    assert datetime.fromisoformat(eta).tzinfo is not None


def test_what_takes_the_place_of_a_step_takes_its_id_over(by_hand: ByHand) -> None:
    found = told(by_hand(), "replaced")

    a, b, end, c = (found[name] for name in ("a", "b", "end of b", "c"))
    assert end["id"] == b["parent_id"] == c["parent_id"]
    assert end["parent_id"] == b["id"]
    assert {one["root_id"] for one in (a, b, end, c)} == {a["id"]}
    assert (b["replaced_task_nesting"], c["replaced_task_nesting"]) == (1, 0)


def test_two_operations_have_different_ids(by_hand: ByHand) -> None:
    service = by_hand()

    first, second = told(service, "line"), told(service, "line")

    assert not {one["id"] for one in first.values()} & {one["id"] for one in second.values()}


def test_all_fields_are_told(by_hand: ByHand) -> None:
    assert told(by_hand(), "line")["a"].keys() == {*FIELDS, "tenant"}
