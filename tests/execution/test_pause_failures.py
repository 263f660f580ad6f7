"""A failure at a pause point, or after one, is like any other task's: told to the error callbacks, never lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import chord, group
from celery.exceptions import ChordError

from pausable.canvas.pause import pause_or_continue
from pausable.canvas.tappable import tappable
from pausable.errors import PausePointIncomplete
from tests.execution.pause_app import add, broken, fail, listed, mark, seven
from tests.execution.pausing import Pausing, value_of

if TYPE_CHECKING:
    from celery.canvas import Signature


def with_errback(canvas: Any, pausing: Pausing) -> Any:
    canvas.link_error(pausing.errback)
    return canvas


@pytest.mark.parametrize("pauses", [0, 1, 2, 3])
def test_the_error_callback_of_a_chain_is_called_for_a_link_that_fails_after_any_number_of_pauses(
    pausing: Pausing, pauses: int
) -> None:
    canvas = with_errback(add.s(1, 2) | group(add.s(3), add.s(4)) | listed.s() | fail.s(), pausing)

    result = pausing.tappable(canvas, *range(1, pauses + 1)).apply_async()
    for _ in range(pauses):
        pausing.resume(*pausing.paused())

    assert pausing.next_mark("errors") == [result.id, "no such number"]


def test_every_link_that_remains_carries_the_error_callback(pausing: Pausing) -> None:
    pausing.tappable(with_errback(add.s(1, 2) | add.s(3) | add.s(4), pausing), 1).apply_async()

    _, remaining = pausing.paused()

    assert [[errback["task"] for errback in link["options"]["link_error"]] for link in remaining] == [
        [pausing.errback.task]
    ] * 3


@pytest.mark.parametrize(
    ("clause", "callback"), [(broken.s(), seven.si()), (seven.si(), broken.s())], ids=["clause", "callback"]
)
def test_an_error_at_a_point_fails_the_point_and_what_follows_it_and_nothing_more(
    pausing: Pausing, clause: Signature[Any], callback: Signature[Any]
) -> None:
    canvas = with_errback(add.s(1, 2) | mark.s(pausing.key) | mark.s(pausing.key), pausing)

    result: Any = tappable(canvas, clause, callback).apply_async()

    with pytest.raises(LookupError, match="not to be had"):
        value_of(result)
    point = result.parent.parent.parent
    assert pausing.next_mark("errors") == [point.id, "the answer is not to be had"]
    assert (value_of(point.parent), pausing.marks("marks"), pausing.marks("errors")) == (3, [], [])


@pytest.mark.parametrize("following", [lambda: listed.s(), lambda: group(listed.s(), listed.s()) | listed.s()])
def test_an_error_at_a_point_behind_a_group_is_told_as_well(pausing: Pausing, following: Any) -> None:
    canvas = with_errback(group(add.s(1, 2), add.s(3, 4)) | following(), pausing)

    result = tappable(canvas, broken.s(), pausing.callback).apply_async()

    with pytest.raises(LookupError, match="not to be had"):
        value_of(result)
    assert pausing.next_mark("errors")[1] == "the answer is not to be had"


def test_a_group_that_fails_before_a_point_is_told_to_the_error_callback_of_the_link_after_it(pausing: Pausing) -> None:
    canvas = chord([fail.si(), add.s(1, 2)], listed.s().on_error(pausing.errback))

    pausing.tappable(canvas).apply_async()

    assert "no such number" in pausing.next_mark("errors")[1]


def test_an_error_at_a_point_in_a_branch_fails_the_group(pausing: Pausing) -> None:
    point = pause_or_continue.s(clause=broken.s(), callback=pausing.callback)

    branch: Any = add.s(1, 2) | point | add.s(3)
    result = (group(branch, add.s(4, 5)) | listed.s()).apply_async()

    with pytest.raises((ChordError, LookupError), match="not to be had"):
        value_of(result)


def test_an_error_at_a_point_of_a_workflow_made_of_links_is_told_to_the_points_error_callback(pausing: Pausing) -> None:
    point = pause_or_continue.s(clause=broken.s(), callback=pausing.callback).set(link=mark.s(pausing.key))
    point.link_error(pausing.errback)

    add.apply_async((1, 2), link=point)

    assert pausing.next_mark("errors")[1] == "the answer is not to be had"


@pytest.mark.parametrize("missing", ["clause", "callback"])
def test_a_point_alone_without_clause_or_callback_fails_the_workflow_by_name(pausing: Pausing, missing: str) -> None:
    given = {"clause": pausing.clause(), "callback": pausing.callback} | {missing: None}

    canvas: Any = add.s(1, 2) | pause_or_continue.s(**given) | add.s(3)
    result = canvas.apply_async()

    with pytest.raises(PausePointIncomplete, match=f"This pause point has no {missing}"):
        value_of(result)
