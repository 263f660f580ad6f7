"""Editing what remains of a paused operation over HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pausable.config import Settings
from tests.web.calling import Caller, everything, json_of, slug

if TYPE_CHECKING:
    from pausable.db.database import Database
    from tests.web.calling import Answer
    from tests.web.serving import Served

MERGE_PATCH = "application/merge-patch+json"


@pytest.fixture(autouse=True)
def owners_edit(served: Served) -> None:
    """Let owners edit, as EDITS=owner does."""
    served.commands.engine.policies.edits = "owner"


@pytest.fixture
def place(bob: Caller, served: Served) -> str:
    """An operation of Bob's that is paused after the first of its three steps."""
    place = bob.start("three", value=1)
    served.deliver()
    assert bob.post(f"{place}/pause") == 200
    return place


def patch(caller: Caller, place: str, body: Any, address: str = "workflow.json", **headers: str) -> Answer:
    given = {"data": body} if isinstance(body, bytes) else {"json": body}
    return caller.ask("PATCH", f"{place}/{address}", headers={"Content-Type": MERGE_PATCH} | headers, **given)


def test_what_is_edited_is_what_runs(bob: Caller, served: Served, place: str) -> None:
    answer = patch(bob, place, {"result": "mended", "steps": {"give-3": None}}, "workflow.json?reason=a+typing+error")

    assert answer == 200
    assert (json_of(answer)["result"], json_of(answer)["completion"]) == ("mended", "PAUSED")
    assert json_of(bob.get(f"{place}/workflow.json"))["result"] == "mended"
    assert bob.post(f"{place}/resume") == 202
    while served.queue.llen("operations"):
        served.deliver()
    assert json_of(bob.get(place))["result"] == "mended"
    (edit,) = json_of(bob.get(f"{place}/edits"))["edits"]
    assert (edit["who"], edit["why"], edit["undone_at"]) == ("bob", "a typing error", None)
    assert edit["diff"] == [
        {"at": "result", "old": 1, "new": "mended"},
        {"at": "steps.give-3.skip", "old": False, "new": True},
    ]


def test_edits_are_taken_back_until_a_step_has_started(bob: Caller, served: Served, place: str) -> None:
    for value in (2, 3):
        assert patch(bob, place, {"result": value}) == 200

    assert json_of(bob.post(f"{place}/undo", {"reason": "it was right"}))["result"] == 2
    bob.post(f"{place}/resume")
    served.deliver()

    refused = bob.post(f"{place}/undo")
    assert (refused.status_code, slug(refused)) == (409, "undo-too-late")
    assert [bool(one["undone_at"]) for one in json_of(bob.get(f"{place}/edits"))["edits"]] == [False, True]


def test_without_an_edit_there_is_nothing_to_take_back(bob: Caller, place: str) -> None:
    refused = bob.post(f"{place}/undo")

    assert (refused.status_code, slug(refused)) == (409, "nothing-to-undo")


def test_the_digest_of_the_document_is_its_tag_and_is_honoured(bob: Caller, place: str) -> None:
    tag = bob.get(f"{place}/workflow.json").headers["ETag"]

    assert patch(bob, place, {"result": 2}, **{"If-Match": tag}) == 200
    refused = patch(bob, place, {"result": 3}, **{"If-Match": tag})
    assert patch(bob, place, {"result": 3}, **{"If-Match": "*"}) == 200

    assert (refused.status_code, slug(refused)) == (412, "version-passed")
    assert bob.get(f"{place}/workflow.json").headers["ETag"] != tag


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"", 400, "body-malformed"),
        (b"{", 400, "body-malformed"),
        (b'{"result": NaN}', 400, "body-malformed"),
        ([], 422, "patch-malformed"),
        ({"operation_id": 2}, 422, "patch-malformed"),
        ({"steps": {"give-2": {"task": "os.system"}}}, 422, "patch-malformed"),
        ({"steps": {"give-1": None}}, 409, "edit-refused"),
        ({"steps": {"nobody": None}}, 409, "edit-refused"),
    ],
)
def test_what_is_no_patch_of_it_changes_nothing(
    bob: Caller, database: Database, place: str, body: Any, status: int, kind: str
) -> None:
    before = everything(database)

    refused = patch(bob, place, body)

    assert (refused.status_code, slug(refused)) == (status, kind)
    assert everything(database) == before


def test_another_media_type_is_refused(bob: Caller, place: str) -> None:
    refused = patch(bob, place, {"result": 2}, **{"Content-Type": "application/json"})

    assert (refused.status_code, slug(refused)) == (415, "media-type-unsupported")
    assert MERGE_PATCH in refused.text


def test_what_runs_is_not_edited_and_what_is_another_s_is_not_there(bob: Caller, place: str) -> None:
    eve = Caller(bob.client, "the-token-of-eve")
    for answer in (patch(eve, place, {}), eve.post(f"{place}/undo"), eve.get(f"{place}/edits")):
        assert answer == 404
    bob.post(f"{place}/resume")

    refused = patch(bob, place, {"result": 2})

    assert (refused.status_code, slug(refused)) == (409, "move-refused")


def test_only_an_admin_edits_unless_the_setting_lets_the_owner(
    ada: Caller, bob: Caller, served: Served, place: str
) -> None:
    served.commands.engine.policies.edits = Settings().edits

    refused = patch(bob, place, {"result": 5})
    assert (refused.status_code, slug(refused)) == (403, "admin-needed")
    assert "Only an admin may edit operations of 'three' here" in json_of(refused)["detail"]
    assert patch(ada, place, {"result": 5}) == 200
    refused = bob.post(f"{place}/undo")
    assert (refused.status_code, slug(refused)) == (403, "admin-needed")
    assert ada.post(f"{place}/undo") == 200


@pytest.mark.parametrize(("editable", "setting", "status"), [("owner", "admin", 200), ("admin", "owner", 403)])
def test_what_a_workflow_says_goes_before_the_setting(
    bob: Caller, served: Served, place: str, editable: str, setting: str, status: int
) -> None:
    policies = served.commands.engine.policies
    policies.edits = setting
    policies.learn({"three": replace(policies.of_workflow("three"), editable=editable)})

    assert patch(bob, place, {"result": 5}) == status
