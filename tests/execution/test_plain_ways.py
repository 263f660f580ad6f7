"""Ways in which tasks of plain Celery are written: an operation does the same, or says that it does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pausable.engine.dispatch import publish_due
from pausable.errors import ApplyAsyncUnfit, TaskUnfit
from pausable.model.states import Completion, StepState
from tests.databases import both_when_long
from tests.execution.flows import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service

if TYPE_CHECKING:
    ByHand = Callable[..., Service]


database_kind = both_when_long()


def test_a_retry_is_run_with_the_options_that_it_asks_for(by_hand: ByHand) -> None:
    service = by_hand()
    options = {"queue": "elsewhere", "time_limit": 60, "soft_time_limit": 50, "headers": {"a": "b"}}
    operation = service.start("plain-way", kind="retry", options=options)

    service.deliver_all()
    publish_due(service.engine)

    assert (service.messages(), service.messages("elsewhere")) == (0, 1)
    service.deliver("elsewhere")
    found = json.loads(service.show(operation).result or "null")
    assert found == {"timelimit": [60, 50], "headers": {"a": "b"}, "stamps": {}}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"expires": 5}, "cannot honour the option expires"),
        ({"priority": "high"}, "priority"),
        ({"colour": "red"}, "cannot honour the option colour"),
    ],
)
def test_a_retry_with_an_option_that_cannot_be_kept_is_a_failure(
    by_hand: ByHand, options: dict[str, Any], words: str
) -> None:
    service = by_hand()
    operation = service.start("plain-way", kind="retry", options=options)

    service.deliver_all()

    error = service.error(operation)
    assert error["type"] == "OptionRefused"
    assert words in error["message"]


def test_a_step_that_is_ignored_is_skipped_and_so_is_what_waits_for_it(service: Service) -> None:
    operation = service.start("plain-way", kind="ignore")

    assert service.ended(operation).completion is Completion.COMPLETED
    assert [step.state for step in service.steps(operation).values()][1:] == [StepState.SKIPPED] * 2
    assert service.steps(operation)["ignores"].message == "Ignore: not today"


def test_a_step_that_gives_its_message_back_is_run_again(service: Service) -> None:
    file = service.path()

    operation = service.run("plain-way", kind="requeue", file=file)

    assert (operation.completion, operation.result) == (Completion.COMPLETED, "1")
    assert lines_of(file) == ["0", "1"]


def test_a_step_cannot_add_to_its_chord(service: Service) -> None:
    error = service.error(service.start("plain-way", kind="add to chord"))

    assert error["type"] == "AddToChordRefused"
    assert "self.replace(group(…))" in error["message"]


@pytest.mark.parametrize("kind", ["get", "chord"])
def test_what_a_step_sends_itself_has_no_value_to_wait_for(service: Service, kind: str) -> None:
    error = service.error(service.start("plain-way", kind=kind))

    assert error["type"] == "NotImplementedError"  # at once: no result backend is there


def test_a_task_that_expires_is_refused_like_the_option(by_hand: ByHand) -> None:
    with pytest.raises(TaskUnfit, match="expires=60"):
        by_hand().start("plain-way", kind="expires")


def test_what_the_own_apply_async_of_a_task_adds_is_kept(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("plain-way", kind="routed")

    service.deliver_all()
    service.deliver("elsewhere")

    assert service.show(operation).result == "6"
    assert service.task_id(operation, "routed") == "mine"


def test_an_own_apply_async_that_sends_nothing_is_refused(by_hand: ByHand) -> None:
    with pytest.raises(ApplyAsyncUnfit, match=r"plain_flows\.unwilling sent 0 messages, but a step is exactly one"):
        by_hand().start("plain-way", kind="unwilling")


def test_a_chain_with_a_callback_behind_a_group_that_ends_in_one_itself_is_run(by_hand: ByHand) -> None:
    service = by_hand()

    operation = service.start("plain-way", kind="linked group")
    service.deliver_all()

    assert json.loads(service.show(operation).result or "null") == [[1, 2], [1, 2]]


def test_a_canvas_that_was_frozen_keeps_its_ids(by_hand: ByHand) -> None:
    service = by_hand()

    operation = service.start("plain-way", kind="frozen")
    service.deliver_all()

    assert service.show(operation).result == "6"
    assert len({service.task_id(operation, slug) for slug in service.steps(operation)}) == 2
