"""An answer is written by the model that the OpenAPI document describes."""

from __future__ import annotations

import json

import pytest

from app.web.answers import Answer, Event, EventPage, Operation, Step, StepPage
from pausable.db import history
from pausable.db.steps import ShownStep
from pausable.model.states import StepState


def shown(result: str | None, slug: str = "add-1") -> ShownStep:
    """A step that has ended."""
    times = (None, 0.0, 1.5)
    return ShownStep(1, slug, StepState.SUCCESS, "add", None, 1, 0, None, *times, None, None, None, result)


@pytest.mark.parametrize("answer", [Operation, Step])
def test_what_is_stored_as_json_is_the_last_of_an_answer(answer: type[Answer]) -> None:
    assert answer.stored == answer.names[-len(answer.stored) :]


def test_a_stored_result_is_written_as_it_is_stored() -> None:
    written = Step.from_row(shown('{"a":  1.0}'), "/operations/1").written()

    assert '"started_at":"1970-01-01T00:00:00.000Z","finished_at":"1970-01-01T00:00:01.500Z"' in written
    assert written.endswith(',"result":{"a":  1.0},"error":null}')


def test_a_page_holds_its_items_and_then_where_the_next_is() -> None:
    page = json.loads(StepPage.of([Step.from_row(shown(None), "/operations/1")], "/next").written())

    assert list(page) == ["steps", "next"]
    assert [list(step) for step in page["steps"]] == [list(Step.names)]


def test_half_a_surrogate_in_one_item_leaves_the_others_of_its_page_as_they_are() -> None:
    events = [history.Event(id_, 1, 0.0, who, None, None, "PAUSED", None) for id_, who in [(1, "Zoë"), (2, "\udcff")]]

    written = EventPage.of(list(map(Event.build, events)), None).written()

    assert "Zoë" in written
    assert [event["who"] for event in json.loads(written)["events"]] == ["Zoë", "\udcff"]
