"""What pausing costs at the broker, and that it works whatever the serializer, the pool and the acknowledging are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from celery import group

from pausable.canvas.pause import pause_or_continue
from tests.execution.pause_app import add, listed, mark, seven, total
from tests.execution.pausing import Pausing, at_work, in_database, value_of, working

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery import Celery

#: What makes Celery deliver again what a lost worker had taken, and notice what had been finished already.
DELIVERED_TWICE = {"task_acks_late": True, "worker_deduplicate_successful_tasks": True, "result_extended": True}


@pytest.fixture(scope="module", params=["yaml", "msgpack"])
def serializer_app(request: pytest.FixtureRequest, broker_url: str) -> Iterator[Celery]:
    number = {"yaml": 8, "msgpack": 9}[request.param]
    with working(in_database(broker_url, number), serializer=request.param) as celery:
        yield celery


@pytest.fixture(scope="module")
def prefork_app(broker_url: str) -> Iterator[Celery]:
    with working(in_database(broker_url, 10), "prefork", **DELIVERED_TWICE) as celery:
        yield celery


@pytest.fixture
def in_serializer(serializer_app: Celery) -> Iterator[Pausing]:
    with at_work(serializer_app) as pausing:
        yield pausing


@pytest.fixture
def in_prefork(prefork_app: Celery) -> Iterator[Pausing]:
    with at_work(prefork_app) as pausing:
        yield pausing


def long_canvas() -> Any:
    return (
        group(add.s(1, 2), add.s(3, 4))
        | total.s()
        | group(add.s(5) | add.s(6), add.s(7))
        | group(total.s(), listed.s())
    )


CANVASES: list[Callable[[], Any]] = [
    lambda: add.s(1, 2) | add.s(3) | add.s(4),
    lambda: group(add.s(1, 2), add.s(3, 4)) | total.s() | add.s(5),
    lambda: add.s(1, 2) | group(add.s(3), add.s(4)),
    long_canvas,
]


def messages_of(pausing: Pausing, canvas: Any) -> int:
    before = pausing.sent()
    value_of(canvas.apply_async())
    return pausing.sent() - before


@pytest.mark.parametrize("canvas", CANVASES)
def test_a_workflow_that_can_be_paused_sends_no_more_messages_than_without(pausing: Pausing, canvas: Any) -> None:
    plain = messages_of(pausing, canvas())

    assert messages_of(pausing, pausing.tappable(canvas())) == plain > 0


@pytest.mark.parametrize("canvas", CANVASES)
def test_a_workflow_that_is_paused_and_resumed_sends_no_more_messages_either(pausing: Pausing, canvas: Any) -> None:
    plain = messages_of(pausing, canvas())
    before = pausing.sent()

    result = pausing.tappable(canvas(), 1, 2, 3).apply_async()
    pausing.resume_until_ready(result)

    assert pausing.sent() - before == plain


def test_a_point_sent_by_a_client_is_a_message_and_so_is_one_with_a_delay_of_its_own(pausing: Pausing) -> None:
    point = pause_or_continue.s(clause=pausing.clause(), callback=pausing.callback)

    assert messages_of(pausing, point | seven.si()) == 2
    assert messages_of(pausing, seven.si() | point.set(countdown=0.01) | seven.si()) == 3


def test_pausing_and_resuming_works_in_yaml_and_msgpack_as_in_json(in_serializer: Pausing) -> None:
    undisturbed = value_of(long_canvas().apply_async())
    canvas = in_serializer.tappable(long_canvas(), 1, 2, 3)

    result = canvas.apply_async()
    in_serializer.resume_until_ready(result)

    assert value_of(result) == undisturbed
    assert in_serializer.marks("asked") == [[3, 7], 10, [21, 17]]


def test_pausing_and_resuming_works_in_a_pool_of_processes(in_prefork: Pausing) -> None:
    undisturbed = value_of(long_canvas().apply_async())

    result = in_prefork.tappable(long_canvas(), 1, 2, 3).apply_async()
    in_prefork.resume_until_ready(result)

    assert value_of(result) == undisturbed


@pytest.mark.parametrize("pauses", [0, 1])
def test_a_task_delivered_again_after_its_point_was_passed_does_not_start_the_rest_again(
    in_prefork: Pausing, pauses: int
) -> None:
    canvas = in_prefork.tappable(add.s(1, 2) | mark.s(in_prefork.key), *range(1, pauses + 1))
    result = canvas.apply_async(queue="shelf")
    shelf: Any = in_prefork.client.rpop("shelf")
    message = json.loads(shelf)
    deliver(in_prefork, message, redelivered=False)
    in_prefork.resume_until_ready(result)

    deliver(in_prefork, message, redelivered=True)
    for _link_that_could_be_started_again in canvas.kwargs["tasks"]:
        value_of(seven.delay())

    assert in_prefork.marks("marks") == [3]


def deliver(pausing: Pausing, message: dict[str, Any], *, redelivered: bool) -> None:
    """Put a message into the worker's queue as the Redis transport puts back what a lost worker had taken."""
    message["properties"]["delivery_info"]["redelivered"] = redelivered
    pausing.client.lpush("celery", json.dumps(message))
