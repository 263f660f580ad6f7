"""Documents that leave the service over HTTP, and those that come in so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from app.web.documents import LARGEST_DOCUMENT
from pausable.documents.model import encode
from tests.execution.pausing import in_database
from tests.web.calling import Caller, everything, json_of, problem, slug
from tests.web.serving import Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pausable.db.database import Database
    from tests.conftest import NewDatabase

KEY = "0123456789abcdef" * 2


@pytest.fixture
def served(new_database: NewDatabase, broker_url: str, tmp_path: Path) -> Iterator[Served]:
    """The service with a key for documents."""
    url, broker = new_database(tmp_path), in_database(broker_url, 3)
    with serving(tmp_path, broker, database_url=url, slice_steps=1, document_key=KEY) as served:
        yield served


@pytest.fixture
def place(bob: Caller, served: Served) -> str:
    """Where an operation of bob's is that is paused after its first step."""
    place = bob.start("three", value=7)
    served.deliver()
    bob.post(f"{place}/pause")
    return place


def take_in(caller: Caller, content: bytes | dict[str, Any], query: str = "") -> Any:
    data = content if isinstance(content, bytes) else encode(content)
    headers = {"Content-Type": "application/json"}
    return caller.ask("POST", f"/operations/import{query}", headers=headers, data=data)


def document(**changed: Any) -> dict[str, Any]:
    return {"workflow": "three", "arguments": {"value": 7}, **changed}


def test_an_export_moves_an_operation_and_an_import_makes_one(bob: Caller, served: Served, place: str) -> None:
    exported = bob.post(f"{place}/export", {"to": "a function"})
    first = json_of(bob.get(place))

    assert exported.status_code == 200
    assert (first["completion"], first["moved_to"], bool(first["moved_at"])) == ("PAUSED", "a function", True)
    assert slug(bob.post(f"{place}/resume")) == "operation-moved"
    served.commands.engine.keys.demand_signed(json.loads(exported.data))


def test_a_copy_is_signed_and_moves_nothing(bob: Caller, served: Served, place: str) -> None:
    copy = json_of(bob.get(f"{place}/workflow.json"))

    served.commands.engine.keys.demand_signed(copy)
    assert json_of(bob.get(place))["moved_at"] is None
    assert bob.post(f"{place}/resume").status_code == 202


def test_the_tag_of_a_signed_copy_is_the_one_that_edits_are_held_against(ada: Caller, bob: Caller, place: str) -> None:
    headers = {
        "Content-Type": "application/merge-patch+json",
        "If-Match": bob.get(f"{place}/workflow.json").headers["ETag"],
    }

    first = ada.ask("PATCH", f"{place}/workflow.json", headers=headers, json={"result": 2})
    second = ada.ask("PATCH", f"{place}/workflow.json", headers=headers, json={"result": 3})

    assert (first.status_code, second.status_code) == (200, 412)


def test_the_document_of_a_slice_that_ran_elsewhere_makes_an_operation_of_the_importer(
    bob: Caller, eve: Caller, served: Served, place: str
) -> None:
    moved = json.loads(bob.post(f"{place}/export").data) | {"slice": 1}
    content = served.commands.engine.keys.sealed(moved)

    first, again = take_in(eve, content), take_in(eve, content)

    assert (first.status_code, again.status_code) == (201, 200)
    made = json_of(first)
    assert (made["completion"], made["progress"]["done"], made["links"]["self"]) == (
        "PAUSED", 1, first.headers["Location"],
    )  # fmt: skip
    assert json_of(again)["id"] == made["id"]
    assert bob.get(first.headers["Location"]).status_code == 404
    assert eve.post(f"{first.headers['Location']}/resume").status_code == 202


def test_only_an_admin_takes_back_what_was_moved(ada: Caller, bob: Caller, place: str) -> None:
    bob.post(f"{place}/export")

    assert slug(bob.post(f"{place}/resume?accept=moved")) == "admin-needed"
    assert ada.post(f"{place}/resume?accept=moved").status_code == 202
    assert json_of(bob.get(place))["moved_at"] is None


def test_only_an_admin_takes_back_what_had_failed_and_was_moved(ada: Caller, bob: Caller, served: Served) -> None:
    place = bob.start("fails")
    while bob.completion(place) != "FAILED":
        served.deliver()
    bob.post(f"{place}/export")

    assert slug(bob.post(f"{place}/retry")) == "operation-moved"
    assert slug(bob.post(f"{place}/retry?accept=moved")) == "admin-needed"
    assert ada.post(f"{place}/retry?accept=moved").status_code == 202
    assert json_of(bob.get(place))["moved_at"] is None


def test_what_is_not_signed_needs_an_admin_s_trust(ada: Caller, bob: Caller, database: Database) -> None:
    before = everything(database)

    refused = take_in(bob, document())
    assert (refused.status_code, slug(refused)) == (403, "document-untrusted")
    assert "trust" in problem(refused)["detail"]
    assert slug(take_in(bob, document(), "?trust=true")) == "admin-needed"
    assert everything(database) == before

    assert take_in(ada, document(), "?trust=true").status_code == 201


def test_somebody_elses_operation_is_not_exported(eve: Caller, place: str) -> None:
    assert eve.post(f"{place}/export").status_code == 404


def test_what_goes_on_is_not_exported(bob: Caller) -> None:
    assert slug(bob.post(f"{bob.start('three')}/export")) == "document-not-written"


DEEP = b'{"workflow": "three", "arguments": ' + b'{"value":' * 600 + b"1" + b"}" * 601


@pytest.mark.parametrize(
    ("content", "kind", "why"),
    [
        (b'{"format": 2, "operation_id"', "document-malformed", "truncated"),
        (b"[]", "document-malformed", "the whole"),
        (encode({"format": 3}), "document-malformed", "is of format '3', and this service reads 1 and 2"),
        (DEEP, "document-malformed", "nested more than 500 deep"),
        (encode(document(workflow="gone")), "workflow-unknown", "gone"),
        (encode(document(arguments={"other": 1})), "arguments-invalid", "fit"),
        (encode(document(steps=[{"task": {"slug": "nobody"}, "state": {"type": "Success"}}])), "slugs-unfit", "nobody"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason_and_nothing_is_made(
    ada: Caller, database: Database, content: bytes, kind: str, why: str
) -> None:
    before = everything(database)

    refused = take_in(ada, content, "?trust=true")

    assert slug(refused) == kind
    assert why in problem(refused)["detail"]
    assert everything(database) == before


def test_an_older_slice_and_tasks_that_are_not_here_are_refused(ada: Caller, bob: Caller, place: str) -> None:
    old = json.loads(bob.post(f"{place}/export").data)
    ada.post(f"{place}/resume?accept=moved")
    bob.post(f"{place}/pause")

    assert slug(take_in(ada, old, "?trust=true")) == "document-older"
    armed = json.loads(json.dumps(old | {"slice": 9}).replace("tests.web.flows.give", "os.system"))
    refused = take_in(ada, armed, "?trust=true")
    assert (slug(refused), "os.system" in problem(refused)["detail"]) == ("tasks-unregistered", True)


def test_a_document_may_be_larger_than_other_bodies_but_not_without_end(ada: Caller) -> None:
    large = document(arguments={"value": "x" * 2_000_000})

    assert take_in(ada, large, "?trust=true").status_code == 201
    assert slug(take_in(ada, b" " * (LARGEST_DOCUMENT + 1))) == "body-too-large"
