"""Each workflow.json that the service writes is one that its own reader takes; else the pause says why it cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from pausable.errors import DocumentMalformed
from pausable.model.graph import slugs_for
from pausable.model.states import Completion
from tests.databases import on_sqlite_alone
from tests.execution.moving import exported
from tests.execution.strange_flows import NAMES

if TYPE_CHECKING:
    from tests.execution.moving import ByHand
    from tests.execution.service import Service

FLOWS = ("tests.execution.strange_flows",)


@on_sqlite_alone
@pytest.mark.parametrize("which", range(len(NAMES)), ids=[name[:20] for name in NAMES])
def test_a_task_of_any_name_is_paused_and_resumed(by_hand: ByHand, which: int) -> None:
    service = by_hand(flows=FLOWS, slice_steps=1)
    with service.at_work():
        operation = service.start("strange-names", which=which)
        service.deliver()
        service.pause(operation)
        assert service.completion(operation) is Completion.PAUSED

        service.resume(operation)
        service.deliver_all()

    assert service.show(operation).result == "1"


def test_a_slug_is_one_segment_of_an_address() -> None:
    slugs = slugs_for([*NAMES, *NAMES])

    assert len(set(slugs)) == len(slugs)
    for slug in slugs:
        assert slug.strip(".")
        assert len(slug) < 1000
        assert set("/?#%\\ ").isdisjoint(slug)
        assert quote(slug).isprintable()


def test_tasks_whose_names_differ_in_such_letters_alone_are_numbered() -> None:
    assert slugs_for(["a/b", "a b", "a-b"]) == ["a-b-1", "a-b-2", "a-b-3"]


def keep_deeper(service: Service, deep: int) -> None:
    """Have the first step a result that only an earlier version would have kept."""
    service.change("UPDATE steps SET result = ? WHERE number = 0", "[" * deep + "]" * deep)


@pytest.mark.parametrize("deep", [600, *range(900, 1000, 6), 1500])
@on_sqlite_alone
def test_a_document_that_its_reader_would_refuse_keeps_the_pause_from_taking_effect(by_hand: ByHand, deep: int) -> None:
    service = by_hand(flows=FLOWS, slice_steps=1)
    with service.at_work():
        operation = service.start("deep", deep=10)
        service.deliver()
        keep_deeper(service, deep)

        service.pause(operation)

    stood = service.show(operation)
    assert stood.completion is Completion.REQUESTING_PAUSE
    assert "nested more than 500 deep" in (stood.reason or "")
    assert stood.workflow_store is None


def test_what_no_import_would_read_is_not_moved(by_hand: ByHand) -> None:
    service = by_hand(flows=FLOWS)
    with service.at_work():
        operation = service.start("deep-and-fails", deep=10)
        service.deliver_all()
    keep_deeper(service, 600)

    with pytest.raises(DocumentMalformed, match="nested more than 500 deep"):
        exported(service, operation)

    assert service.show(operation).moved_at is None


def test_what_an_earlier_version_has_kept_is_paused_and_resumed(by_hand: ByHand) -> None:
    service = by_hand(flows=FLOWS, slice_steps=1)
    with service.at_work():
        operation = service.start("strange-names", which=6)
        service.deliver()
        service.change("UPDATE steps SET slug = 'same', message = 'two' WHERE number > 1")
        if service.engine.database.is_sqlite:  # PostgreSQL has never taken one
            service.change("UPDATE steps SET message = char(0) || 'x' WHERE number = 0")
        service.pause(operation)
        assert service.completion(operation) is Completion.PAUSED

        service.resume(operation)
        service.deliver_all()

    assert service.show(operation).result == "1"


def test_a_pause_that_cannot_take_effect_is_withdrawn(by_hand: ByHand) -> None:
    service = by_hand(flows=FLOWS, slice_steps=1)
    with service.at_work():
        operation = service.start("deep", deep=10)
        service.deliver()
        keep_deeper(service, 600)
        service.pause(operation)

        service.resume(operation)
        service.deliver_all()

    assert service.show(operation).completion is Completion.COMPLETED
