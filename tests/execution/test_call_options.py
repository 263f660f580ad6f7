"""Options of a step's call that nobody can honour are refused with a sentence, wherever the call comes from."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from pausable import step
from pausable.errors import NotACanvas, OptionRefused, StepOptionInvalid, TaskUnfit
from pausable.model.states import Completion, StepState
from tests.databases import both_when_long

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

database_kind = both_when_long()

UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "queue": ({"queue": 7}, "queue is '7': give a name of at most 255 bytes."),
    "no queue": ({"queue": ""}, "queue is '': give a name of at most 255 bytes."),
    "long queue": ({"queue": "q" * 256}, f"queue is {'q' * 80!r}: give a name of at most 255 bytes."),
    "routing key": ({"routing_key": ["a"]}, "routing_key is \"['a']\": give a name of at most 255 bytes."),
    "priority": ({"priority": "high"}, "priority is 'high': give a whole number from 0 to 255."),
    "high priority": ({"priority": 256}, "priority is '256': give a whole number from 0 to 255."),
    "time limit": ({"time_limit": "x"}, "time_limit is 'x': give a number of seconds above 0."),
    "no time": ({"time_limit": 0}, "time_limit is '0': give a number of seconds above 0."),
    "soft limit": ({"soft_time_limit": [1]}, "soft_time_limit is '[1]': give a number of seconds above 0."),
    "countdown": ({"countdown": [1]}, "countdown is '[1]': give a number of seconds."),
    "eta": ({"eta": "tomorrow"}, "eta is 'tomorrow': give a datetime, or its text in ISO 8601."),
    "headers": ({"headers": 7}, "headers is '7': give a dict with texts as keys."),
    "stamps": ({"stamped_headers": 7}, "stamped_headers is '7': give a list of texts."),
    "no stamps": ({"stamped_headers": [[]]}, "stamped_headers is '[[]]': give a list of texts."),
}  # fmt: skip


@pytest.mark.parametrize("what", UNFIT)
def test_an_option_that_nobody_can_honour_is_refused_at_start(by_hand: ByHand, what: str) -> None:
    service = by_hand()
    options, words = UNFIT[what]

    with pytest.raises(OptionRefused) as refused:
        service.start("optioned", options=options)

    assert str(refused.value) == f"step same-2: {words}"
    assert service.read("SELECT count(*) FROM operations") == [(0,)]


@pytest.mark.parametrize("option", ["link", "link_error"])
@pytest.mark.parametrize("held", ["x", 5, [None], [{}]])
def test_a_callback_that_is_no_signature_is_refused_at_start(by_hand: ByHand, option: str, held: object) -> None:
    service = by_hand()

    with pytest.raises(NotACanvas, match=r"^A Celery signature is expected where .* stands\.$"):
        service.start("optioned", options={option: held})


@pytest.mark.parametrize("what", ["queue", "time limit", "eta"])
def test_an_option_of_a_replacement_that_nobody_can_honour_fails_the_step_once(by_hand: ByHand, what: str) -> None:
    service = by_hand()
    options, words = UNFIT[what]
    operation = service.start("optioned-later", options=options)

    service.deliver_all()

    error = service.error(operation)
    assert (error["type"], error["message"]) == ("OptionRefused", f"step same: {words}")
    assert (service.steps(operation)["replaced_by"].runs, service.steps(operation)["replaced_by"].losses) == (1, 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"countdown": "soon"}, "countdown is 'soon': give a number of seconds."),
        ({"eta": "tomorrow"}, "eta is 'tomorrow': give a datetime, or its text in ISO 8601."),
    ],
)
def test_an_option_of_a_retry_that_nobody_can_honour_fails_the_step_once(
    by_hand: ByHand, options: dict[str, Any], words: str
) -> None:
    service = by_hand()
    operation = service.start("optioned-retry", options=options)

    service.deliver_all()

    error = service.error(operation)
    assert (error["type"], error["message"]) == (
        "OptionRefused",
        f"step tests.execution.option_flows.retried_with: {words}",
    )
    assert (service.steps(operation)["retried_with"].runs, service.steps(operation)["retried_with"].losses) == (1, 0)


def test_a_retry_at_the_text_of_a_time_waits_for_it(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("optioned-retry", options={"eta": "2100-01-01T00:00:00"})

    service.deliver_all()

    step = service.steps(operation)["retried_with"]
    assert (step.state, step.due_at) == (StepState.RETRYING, 4102444800.0)


def test_the_text_of_a_time_without_a_zone_is_in_the_zone_of_the_app(
    by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    service = by_hand()

    operation = service.start("in-an-hour")

    monkeypatch.undo()
    time.tzset()
    due = service.steps(operation)["same"].due_at or 0.0
    assert due - time.time() == pytest.approx(3600, abs=60)


def test_a_task_whose_own_option_nobody_can_honour_is_refused_at_start(by_hand: ByHand) -> None:
    with pytest.raises(TaskUnfit, match=r"limited_by_text has time_limit='soon'"):
        by_hand().start("limited-by-text")


@pytest.mark.parametrize(
    "options", [{"queue": 7}, {"queue": "\ud83d"}, {"time_limit": "x"}, {"soft_time_limit": 0}, {"priority": -1}]
)
def test_a_step_whose_own_option_nobody_can_honour_is_refused_where_it_is_written(options: dict[str, Any]) -> None:
    with pytest.raises(StepOptionInvalid) as refused:
        step(**options)

    assert str(refused.value).startswith(f"{next(iter(options))} is {str(next(iter(options.values())))!r}: give a ")


def test_a_step_that_cannot_be_published_keeps_no_other_from_it(by_hand: ByHand) -> None:
    service = by_hand()
    stuck = service.start("optioned", options={"queue": "other"})
    signature = json.dumps({"task": "tests.execution.flows.same", "args": [2], "options": {"queue": 7}})
    service.change("UPDATE steps SET signature = ? WHERE operation_id = ? AND number = 1", signature, stuck)
    service.deliver()

    operation = service.start("optioned", options={})

    assert service.messages() == 2
    service.deliver_all()
    assert service.completion(operation) is Completion.COMPLETED
    step = service.steps(stuck)["same-2"]
    assert (step.state, step.runs, step.losses) == (StepState.FAILED, 1, 0)
    error = service.error(stuck)
    assert (error["type"], error["message"]) == (
        "OptionRefused",
        "step same-2: queue is '7': give a name of at most 255 bytes.",
    )


def test_a_real_worker_fails_a_step_whose_message_cannot_be_made(service: Service) -> None:
    stuck = service.start("optioned", options={"countdown": 3600})
    service.wait_for_step(stuck, "same-2", StepState.QUEUED)
    signature = json.dumps({"task": "tests.execution.flows.same", "args": [2], "options": {"queue": 7}})

    service.change("UPDATE steps SET signature = ?, due_at = 1 WHERE operation_id = ? AND number = 1", signature, stuck)

    assert service.error(stuck)["message"] == "step same-2: queue is '7': give a name of at most 255 bytes."
    assert service.steps(stuck)["same-2"].losses == 0
