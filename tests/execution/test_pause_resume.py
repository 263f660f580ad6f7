"""Workflows of every shape are paused at each of their points on a real worker, and resumed with bare Celery."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from celery import chain, chord, group, signature

from pausable.canvas.pause import pause_or_continue
from pausable.canvas.tappable import tappable
from tests.amounts import usually
from tests.canvases import random_canvas
from tests.execution.pause_app import add, double, listed, mark, nothing, replaced, seven, total
from tests.execution.pausing import Pausing, value_of

if TYPE_CHECKING:
    from collections.abc import Callable


def pair() -> Any:
    return group(add.s(1), add.s(20))


#: Each shape with the number of its pause points.
SHAPES: dict[str, tuple[Callable[[], Any], int]] = {
    "a chain": (lambda: add.s(1, 2) | add.s(3) | add.s(4) | add.s(5), 3),
    "a chain in a chain": (lambda: chain(add.s(1, 2), chain(add.s(3), chain(add.s(4), add.s(5))), add.s(6)), 4),
    "a group first": (lambda: group(add.s(1, 2), add.s(3, 4)) | total.s() | add.s(5), 2),
    "a group in the middle": (lambda: add.s(1, 2) | pair() | total.s() | add.s(5), 3),
    "a group last": (lambda: add.s(1, 2) | add.s(3) | pair(), 2),
    "groups back to back": (lambda: add.s(1, 2) | pair() | group(total.s(), listed.s(), total.s()) | listed.s(), 3),
    "only groups": (lambda: group(add.s(1, 2), add.s(3, 4)) | group(total.s(), listed.s()), 1),
    "a chord": (lambda: chord([add.s(1, 2), add.s(3, 4)], total.s()), 1),
    "chords in a row": (lambda: add.s(1, 2) | chord([add.s(1), add.s(2)], total.s() | pair()) | total.s(), 4),
    "a chord of one": (lambda: chord([add.s(1, 2)], listed.s()) | listed.s(), 2),
    "chains in a group": (lambda: add.s(1, 2) | group(add.s(1) | add.s(2), add.s(3)) | listed.s() | listed.s(), 3),
    "a chord in a group": (lambda: add.s(1, 2) | group(pair() | total.s(), add.s(4)) | listed.s(), 2),
    "links that take nothing": (lambda: nothing.si() | seven.si() | nothing.s() | listed.s(), 3),
    "one link": (lambda: add.s(1, 2), 0),
    "one group": (lambda: group(add.s(1, 2), add.s(3, 4)), 0),
}
EVERY_POINT = [(name, point) for name, (_, points) in SHAPES.items() for point in range(1, points + 1)]


@pytest.mark.parametrize(("name", "point"), EVERY_POINT)
def test_a_workflow_resumed_at_any_point_gives_what_it_gives_undisturbed(
    pausing: Pausing, name: str, point: int
) -> None:
    shape, points = SHAPES[name]
    undisturbed = value_of(shape().apply_async())

    result = pausing.tappable(shape(), point).apply_async()
    resumed = pausing.resume(*pausing.paused())

    assert value_of(resumed) == value_of(result) == undisturbed
    assert len(pausing.marks("asked")) == points


@pytest.mark.parametrize("name", SHAPES)
def test_a_workflow_paused_again_and_again_gives_what_it_gives_undisturbed(pausing: Pausing, name: str) -> None:
    shape, points = SHAPES[name]
    undisturbed = value_of(shape().apply_async())

    result = pausing.tappable(shape(), *range(1, points + 1)).apply_async()
    for _ in range(points):
        pausing.resume(*pausing.paused())

    assert value_of(result) == undisturbed
    assert len(pausing.marks("asked")) == points


@pytest.mark.parametrize("seed", range(usually(8, long=25)))
def test_a_random_workflow_paused_at_random_gives_what_plain_celery_gives(pausing: Pausing, seed: int) -> None:
    undisturbed = value_of(random_canvas(Random(seed)).apply_async())
    rng = Random(seed)
    asks = [ask for ask in range(1, 8) if rng.random() < 0.5]

    result = pausing.tappable(random_canvas(Random(seed)), *asks, nth=rng.randint(0, 3)).apply_async()
    pausing.resume_until_ready(result)

    assert value_of(result) == undisturbed


@pytest.mark.parametrize(("nth", "asked"), [(1, [3, 6, 10, 15]), (2, [6, 15]), (3, [10])])
def test_after_every_nth_link_the_clause_is_asked_about_the_value_of_the_last(
    pausing: Pausing, nth: int, asked: list[int]
) -> None:
    canvas = add.s(1, 2) | add.s(3) | add.s(4) | add.s(5) | add.s(6)

    value_of(pausing.tappable(canvas, nth=nth).apply_async())

    assert pausing.marks("asked") == asked


@pytest.mark.parametrize("nth", [0, 1, 2, 3])
def test_three_groups_in_a_row_each_get_the_whole_list_of_the_one_before(pausing: Pausing, nth: int) -> None:
    canvas = group(add.s(1, 2), add.s(3, 4)) | group(total.s(), listed.s()) | group(listed.s(8), listed.s(9))

    result = pausing.tappable(canvas, 1, nth=nth).apply_async()
    pausing.resume_until_ready(result)

    sums = [10, [[3, 7], None]]
    assert value_of(result) == [[sums, 8], [sums, 9]]


def test_the_callback_gets_the_value_and_the_signatures_that_remain_with_the_later_points(pausing: Pausing) -> None:
    pausing.tappable(group(seven.si(), nothing.si()) | listed.s() | mark.s(pausing.key), 1).apply_async()

    retval, remaining = pausing.paused()

    assert retval == [7, None]
    assert [link["task"] for link in remaining] == [listed.name, pause_or_continue.name, mark.name]


def test_while_paused_nothing_that_remains_is_run(pausing: Pausing) -> None:
    pausing.tappable(add.s(1, 2) | mark.s(pausing.key), 1).apply_async()
    pausing.paused()

    value_of(seven.delay())

    assert pausing.marks("marks") == []


def test_clause_and_callback_get_what_they_were_given_after_the_value(pausing: Pausing) -> None:
    canvas = tappable(add.s(1, 2) | add.s(3), mark.s(pausing.key), signature(pausing.callback))

    canvas.apply_async()

    assert pausing.paused()[0] == 3
    assert pausing.marks("marks") == [3]


def test_a_point_placed_by_hand_asks_its_own_clause(pausing: Pausing) -> None:
    point = pause_or_continue.s(clause=mark.s(pausing.key), callback=pausing.callback)

    pausing.tappable(add.s(1, 2) | point | add.s(3) | add.s(4)).apply_async()
    pausing.resume(*pausing.paused())

    pausing.wait_for_marks("asked", 1)
    assert (pausing.marks("marks"), pausing.marks("asked")) == ([3], [6])


@pytest.mark.parametrize(
    "branch",
    [
        lambda point: add.s(1) | point | add.s(2),
        lambda point: add.s(1) | add.s(2) | point,
        lambda point: point | add.s(1) | add.s(2),
    ],
)
def test_a_branch_of_a_group_is_paused_by_a_point_in_it_and_the_group_waits(pausing: Pausing, branch: Any) -> None:
    point = pause_or_continue.s(clause=pausing.clause(1), callback=pausing.callback)

    canvas: Any = add.s(1, 2) | group(branch(point), add.s(3)) | total.s()
    result = canvas.apply_async()
    pausing.resume(*pausing.paused())

    assert value_of(result) == 12


def test_a_first_point_is_asked_about_nothing_and_a_last_one_is_not_asked(pausing: Pausing) -> None:
    canvas = pausing.tappable(pause_or_continue.s() | nothing.s() | seven.si() | pause_or_continue.s(), 1, nth=0)

    result = canvas.apply_async()
    retval, remaining = pausing.paused()
    pausing.resume(retval, remaining)

    assert (retval, value_of(result), pausing.marks("asked")) == (None, 7, [None])


def test_a_workflow_made_of_links_is_stopped_and_goes_on_with_its_links(pausing: Pausing) -> None:
    point = pause_or_continue.s(clause=pausing.clause(1, 2), callback=pausing.callback)
    later = pause_or_continue.s(clause=pausing.clause(1, 2), callback=pausing.callback)
    later.link(mark.s(pausing.key))
    point.link(double.s().set(link=later))

    add.apply_async((1, 2), link=point)
    pausing.resume(*pausing.paused())
    pausing.resume(*pausing.paused())

    assert pausing.next_mark("marks") == 6


def test_all_links_of_a_point_and_the_chain_after_it_are_started_when_it_is_resumed(pausing: Pausing) -> None:
    point = pause_or_continue.s(clause=pausing.clause(1), callback=pausing.callback)
    point.link(mark.s(pausing.key))
    point.link(double.s().set(link=mark.s(pausing.key)))

    canvas: Any = add.s(1, 2) | point | add.s(100)
    result = canvas.apply_async()
    pausing.resume(*pausing.paused())

    pausing.wait_for_marks("marks", 2)
    assert (value_of(result), sorted(pausing.marks("marks"))) == (103, [3, 6])


def test_a_task_that_replaces_itself_is_followed_by_its_pause_point(pausing: Pausing) -> None:
    result = pausing.tappable(replaced.s(1) | add.s(2), 1).apply_async()

    retval, remaining = pausing.paused()
    pausing.resume(retval, remaining)

    assert (retval, value_of(result)) == (111, 113)
