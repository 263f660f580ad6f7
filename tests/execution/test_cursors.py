"""The cursor of a step: what is kept of it, and where its code stops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pausable import cursor
from pausable.model.states import Completion, StepState
from tests.execution.flows import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service


@pytest.fixture
def service(by_hand: Callable[..., Service]) -> Service:
    return by_hand()


def delivered(service: Service, workflow: str, **arguments: Any) -> int:
    """An operation after all its messages were delivered."""
    operation = service.start(workflow, **arguments)
    service.deliver_all()
    return operation


def test_outside_an_operation_nothing_is_kept() -> None:
    cursor.keep("here", done=1, total=2)

    assert cursor.place is None
    assert list(cursor.over("abc")) == list(cursor.over(iter("abc"))) == ["a", "b", "c"]


def test_a_short_step_that_runs_unclaimed_is_claimed_before_its_place_is_kept(service: Service) -> None:
    service.engine.pace.latest = service.engine.pace.short = 60.0

    operations = [delivered(service, "looking") for _ in range(4)]

    assert [service.ended(one).result for one in operations] == ["3"] * 4
    assert [[step.runs for step in service.steps(one).values()] for one in operations] == [[1] * 4] * 4
    assert not any(step.cursor for one in operations for step in service.steps(one).values())


def test_the_place_over_rows_is_how_many_are_done_and_stands_in_the_document(service: Service) -> None:
    ledger = service.path()

    operation = delivered(service, "going-over", ledger=ledger, stop_at="b", how="pause")

    assert service.completion(operation) is Completion.PAUSED
    assert lines_of(ledger) == ["a", "b"]
    assert [step.get("cursor") for step in service.document(operation)["steps"]] == [
        None, {"place": 2, "done": 2, "total": None}, None,
    ]  # fmt: skip
    told = [(event.step, event.new) for event in service.commands.events(service.ada, operation) if event.step]
    assert told == [("go_over", "Paused")]
    service.resume(operation)
    service.deliver_all()
    assert service.show(operation).result == '"from 2"'
    assert lines_of(ledger) == ["a", "b", "c", "d"]


def test_a_step_that_stops_behind_its_last_row_only_has_to_return(service: Service) -> None:
    ledger = service.path()
    operation = delivered(service, "going-over", ledger=ledger, stop_at="d", how="pause")

    service.resume(operation)
    service.deliver_all()

    assert service.show(operation).result == '"from 4"'
    assert lines_of(ledger) == ["a", "b", "c", "d"]


def test_a_cancel_stops_a_step_at_its_cursor(service: Service) -> None:
    ledger = service.path()

    operation = delivered(service, "going-over", ledger=ledger, stop_at="b", how="cancel")

    assert service.completion(operation) is Completion.CANCELLED
    assert service.states(operation)["go_over"] is StepState.CANCELLED
    assert lines_of(ledger) == ["a", "b"]
    assert service.show(operation).error is None


def test_a_pause_that_is_withdrawn_while_a_step_stops_for_it_lets_the_step_go_on(service: Service) -> None:
    operation = delivered(service, "withdrawn-late")

    assert service.show(operation).result == '"went on from halfway"'
    assert service.moves(operation)[-3:] == [
        Completion.REQUESTING_PAUSE, Completion.IN_PROGRESS, Completion.COMPLETED,
    ]  # fmt: skip


def test_a_failed_step_that_is_retried_goes_on_from_its_place(service: Service) -> None:
    ledger = service.path()
    operation = delivered(service, "stumbling", ledger=ledger)
    assert service.error(operation)["message"] == "halfway"

    service.retry(operation)
    service.deliver_all()

    assert service.show(operation).result == '''"from ['half', 2]"'''
    assert lines_of(ledger) == ["from None", "from ['half', 2]"]


def test_a_retried_step_begins_anew_where_one_before_it_runs_again_too(service: Service) -> None:
    ledger = service.path()
    operation = delivered(service, "stumbling", ledger=ledger)
    service.change("UPDATE steps SET state = 'Failed' WHERE operation_id = ?", operation)

    service.retry(operation)
    service.deliver_all()

    assert lines_of(ledger) == ["from None", "from None"]


@pytest.mark.parametrize(("kept", "losses"), [(None, 0), ('"there"', 0), ('"here"', 2)])
def test_only_a_place_that_has_moved_sets_losses_back(service: Service, kept: str | None, losses: int) -> None:
    operation = service.start("misused", how="both")
    service.change("UPDATE steps SET losses = 2, cursor = ? WHERE operation_id = ?", kept, operation)

    service.deliver_all()

    assert service.steps(operation)["misuse"].losses == losses


MISUSES = {
    "place": ("PlaceRefused", "cursor.keep was given a place that JSON cannot hold"),
    "done": ("PlaceRefused", "cursor.keep was given done=-1 that is no whole number from 0 on."),
    "twice": ("OverTwice", "cursor.over was called twice in one step"),
    "both": ("PlaceOfAnother", "cursor.over found 'here' kept"),
}


@pytest.mark.parametrize("how", MISUSES)
def test_what_the_cursor_cannot_do_fails_the_step_with_a_sentence(service: Service, how: str) -> None:
    error = service.error(delivered(service, "misused", how=how))

    kind, sentence = MISUSES[how]
    assert error["type"] == kind
    assert error["message"].startswith(sentence)
