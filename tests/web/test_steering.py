"""Every request to pause, resume, cancel or retry, made of an operation wherever it may stand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.web.calling import Caller, everything, json_of, problem, slug

if TYPE_CHECKING:
    from collections.abc import Callable

    from pausable.db.database import Database
    from tests.web.serving import Served


def scheduled(_bob: Caller, _served: Served, _place: str) -> None:
    """Leave it as it was started."""


def in_progress(_bob: Caller, served: Served, place: str) -> None:
    served.claim(place)


def requesting_pause(bob: Caller, served: Served, place: str) -> None:
    served.claim(place)
    bob.post(f"{place}/pause")


def paused(bob: Caller, _served: Served, place: str) -> None:
    bob.post(f"{place}/pause")


def requesting_cancel(bob: Caller, served: Served, place: str) -> None:
    served.claim(place)
    bob.post(f"{place}/cancel")


def cancelled(bob: Caller, _served: Served, place: str) -> None:
    bob.post(f"{place}/cancel")


def completed(_bob: Caller, served: Served, _place: str) -> None:
    for _ in range(3):
        served.deliver()


def failed(bob: Caller, served: Served, _place: str) -> None:
    served.queue.flushdb()
    bob.start("fails")
    for _ in range(2):
        served.deliver()


#: Where the operation stands, what is asked, the status of the answer, and where it stands then.
ROWS = [
    (scheduled, "pause", 200, "PAUSED"),
    (scheduled, "resume", 200, "SCHEDULED"),
    (scheduled, "cancel", 202, "CANCELLED"),
    (scheduled, "retry", 409, "SCHEDULED"),
    (in_progress, "pause", 202, "REQUESTING PAUSE"),
    (in_progress, "resume", 200, "IN PROGRESS"),
    (in_progress, "cancel", 202, "REQUESTING CANCEL"),
    (in_progress, "retry", 409, "IN PROGRESS"),
    (requesting_pause, "pause", 200, "REQUESTING PAUSE"),
    (requesting_pause, "resume", 202, "IN PROGRESS"),
    (requesting_pause, "cancel", 202, "REQUESTING CANCEL"),
    (requesting_pause, "retry", 409, "REQUESTING PAUSE"),
    (paused, "pause", 200, "PAUSED"),
    (paused, "resume", 202, "IN PROGRESS"),
    (paused, "cancel", 202, "CANCELLED"),
    (paused, "retry", 409, "PAUSED"),
    (requesting_cancel, "pause", 409, "REQUESTING CANCEL"),
    (requesting_cancel, "resume", 409, "REQUESTING CANCEL"),
    (requesting_cancel, "cancel", 200, "REQUESTING CANCEL"),
    (requesting_cancel, "retry", 409, "REQUESTING CANCEL"),
    (cancelled, "pause", 409, "CANCELLED"),
    (cancelled, "resume", 409, "CANCELLED"),
    (cancelled, "cancel", 200, "CANCELLED"),
    (cancelled, "retry", 409, "CANCELLED"),
    (completed, "pause", 409, "COMPLETED"),
    (completed, "resume", 409, "COMPLETED"),
    (completed, "cancel", 409, "COMPLETED"),
    (completed, "retry", 409, "COMPLETED"),
    (failed, "pause", 409, "FAILED"),
    (failed, "resume", 409, "FAILED"),
    (failed, "cancel", 409, "FAILED"),
    (failed, "retry", 202, "IN PROGRESS"),
]


@pytest.mark.parametrize(
    ("stand", "verb", "status", "then"), ROWS, ids=[f"{verb} {stand.__name__}" for stand, verb, *_ in ROWS]
)
def test_the_contract_s_table(
    bob: Caller, served: Served, stand: Callable[..., None], verb: str, status: int, then: str
) -> None:
    bob.start("three")
    stand(bob, served, "/operations/1")
    place = "/operations/2" if stand is failed else "/operations/1"

    answer = bob.post(f"{place}/{verb}")

    assert answer == status
    assert json_of(answer)["completion"] == then
    assert bob.completion(place) == then


@pytest.mark.parametrize(
    ("stand", "verb", "status"),
    [(stand, verb, status) for stand, verb, status, _ in ROWS if status in (200, 409) and stand is not scheduled],
)
def test_what_changes_nothing_leaves_no_trace(
    bob: Caller, served: Served, database: Database, stand: Callable[..., None], verb: str, status: int
) -> None:
    bob.start("three")
    stand(bob, served, "/operations/1")
    place = "/operations/2" if stand is failed else "/operations/1"
    before = everything(database)

    answer = bob.post(f"{place}/{verb}")

    assert answer == status
    assert everything(database) == before


def test_a_refusal_tells_where_the_operation_stands(bob: Caller) -> None:
    place = bob.start("three")
    bob.post(f"{place}/cancel")

    refused = bob.post(f"{place}/resume")

    assert slug(refused) == "move-refused"
    assert problem(refused)["completion"] == "CANCELLED"
    assert problem(refused)["detail"] == "Operation 1 is CANCELLED: it cannot become IN PROGRESS."


def test_a_requested_pause_names_the_steps_that_it_waits_for(bob: Caller, served: Served) -> None:
    place = bob.start("three")
    served.claim(place)

    answer = bob.post(f"{place}/pause", {"reason": "the disk is full"})

    assert [step["step"] for step in json_of(answer)["in_flight"]] == ["give-1"]
    assert json_of(answer)["reason"] == "the disk is full"


def test_what_is_offered_is_what_would_change_something(bob: Caller, served: Served) -> None:
    place = bob.start("three")

    offered = []
    for verb in ("", "/pause", "/resume", "/cancel"):
        shown = json_of(bob.post(f"{place}{verb}") if verb else bob.get(place))
        offered.append(shown["links"].keys() - {"self", "status", "steps", "events"})

    assert offered == [{"pause", "cancel"}, {"resume", "cancel", "export", "workflow.json"}, {"pause", "cancel"}, set()]


def test_the_reason_for_a_pause_and_for_a_cancel_is_in_the_history(bob: Caller) -> None:
    place = bob.start("three")
    bob.post(f"{place}/pause", {"reason": "lunch"})
    bob.post(f"{place}/cancel", {"reason": "not wanted any more"})

    events = json_of(bob.get(f"{place}/events"))["events"]

    asked = [(event["who"], event["new"], event["why"]) for event in events if event["who"] == "bob"]
    assert asked[1:] == [("bob", "REQUESTING PAUSE", "lunch"), ("bob", "REQUESTING CANCEL", "not wanted any more")]


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_an_outdated_version_is_refused_and_changes_nothing(bob: Caller, database: Database, verb: str) -> None:
    place = bob.start("three")
    old = bob.get(place).headers["ETag"]
    bob.post(f"{place}/pause")
    before = everything(database)

    refused = bob.post(f"{place}/{verb}", If_Match=old)

    assert (refused.status_code, slug(refused)) == (412, "version-passed")
    assert f'"{problem(refused)["version"]}"' == bob.get(place).headers["ETag"]
    assert everything(database) == before


@pytest.mark.parametrize("tags", ["{tag}", '"0", {tag}', "*"])
def test_the_present_version_is_let_through(bob: Caller, tags: str) -> None:
    place = bob.start("three")
    tag = bob.get(place).headers["ETag"]

    assert bob.post(f"{place}/pause", If_Match=tags.format(tag=tag)) == 200


@pytest.mark.parametrize("tags", ["W/{tag}", "1", "nonsense", ""])
def test_what_is_no_strong_tag_of_it_is_refused(bob: Caller, tags: str) -> None:
    place = bob.start("three")
    bob.post(f"{place}/pause")
    tag = bob.get(place).headers["ETag"]

    assert bob.post(f"{place}/resume", If_Match=tags.format(tag=tag)) == 412


def test_a_wait_ends_with_202_when_it_is_not_paused_by_then(bob: Caller, served: Served) -> None:
    place = bob.start("three")
    served.claim(place)

    assert bob.post(f"{place}/pause?wait=0.01") == 202
    assert bob.post(f"{place}/pause?wait=0.01") == 202
    assert bob.post(f"{place}/pause") == 200


@pytest.mark.parametrize("harm", ["missing", "altered"])
def test_a_paused_operation_whose_document_is_harmed_is_not_resumed(
    bob: Caller, served: Served, database: Database, harm: str
) -> None:
    place = bob.start("three")
    bob.post(f"{place}/pause")
    document = next(Path(served.settings.workflow_store).rglob("workflow.json"))
    document.unlink() if harm == "missing" else document.write_bytes(document.read_bytes() + b" ")
    before = everything(database)

    refused = bob.post(f"{place}/resume")

    assert (refused.status_code, slug(refused), problem(refused)["completion"]) == (409, "document-unusable", "PAUSED")
    assert "`flask operations rebuild 1`" in problem(refused)["detail"]
    assert everything(database) == before


def test_a_failed_operation_offers_a_retry_and_its_history_keeps_why(bob: Caller, served: Served) -> None:
    failed(bob, served, "")
    place = "/operations/1"
    assert json_of(bob.get(place))["links"]["retry"] == f"{place}/retry"

    answer = bob.post(f"{place}/retry", {"reason": "it is mended"})

    assert answer == 202
    assert (json_of(answer)["error"], json_of(answer)["finished_at"]) == (None, None)
    *_, last = json_of(bob.get(f"{place}/events"))["events"]
    assert (last["old"], last["new"], last["why"]) == ("FAILED", "IN PROGRESS", "it is mended")


def test_a_retry_for_an_older_version_is_refused(bob: Caller, served: Served) -> None:
    failed(bob, served, "")
    place = "/operations/1"
    tag = bob.get(place).headers["ETag"]
    assert bob.post(f"{place}/retry", If_Match=tag) == 202
    served.deliver()
    assert bob.completion(place) == "FAILED"

    assert bob.post(f"{place}/retry", If_Match=tag) == 412


def test_why_it_is_resumed_stands_in_the_history(bob: Caller) -> None:
    address = bob.start("three")
    bob.post(f"{address}/pause")

    assert bob.post(f"{address}/resume", {"reason": "the disk is back"}).status_code == 202

    *_, last = json_of(bob.get(f"{address}/events"))["events"]
    assert (last["new"], last["why"]) == ("IN PROGRESS", "the disk is back")
