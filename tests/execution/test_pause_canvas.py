"""What `tappable` makes of a canvas; nothing is run here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery, chain, chord, group
from celery.app import app_or_default

from pausable.canvas.pause import ask, pause_or_continue
from pausable.canvas.tappable import tappable
from pausable.errors import (
    NotACanvas,
    PauseIntervalInvalid,
    PausePointIncomplete,
    PauseSignatureInvalid,
    PausingNeedsWorker,
)
from tests.execution.pause_app import add, broken, due, fail, keep, listed, note, nothing, seven, total

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery.canvas import Signature

CLAUSE, CALLBACK = due.s("key", [1]), keep.s("key")


@pytest.fixture(autouse=True)
def _idle_app() -> Iterator[None]:
    """An app without broker and results, since nothing is sent."""
    before = app_or_default()
    Celery("idle", broker="memory://", backend="cache+memory://").set_current()
    yield
    before.set_current()


def pointed(canvas: Any, nth: int = 1) -> str:
    return drawn(tappable(canvas, CLAUSE, CALLBACK, nth))


def drawn(canvas: Any) -> str:
    """A canvas in letters: `a > . > (b c) > d` is a task, a pause point, a group of two, a task."""
    parts = canvas["kwargs"]
    if canvas["subtask_type"] == "chain":
        return " > ".join(drawn(task) for task in parts["tasks"])
    if canvas["subtask_type"] == "group":
        return f"({' '.join(drawn(task) for task in parts['tasks'])})"
    if canvas["subtask_type"] == "chord":
        return f"({' '.join(drawn(task) for task in parts['header'])}) > {drawn(parts['body'])}"
    return "." if canvas["task"] == pause_or_continue.name else str(canvas["args"][-1])


def t(letter: str) -> Signature[Any]:
    return listed.s(letter)


def hand() -> Signature[Any]:
    return pause_or_continue.s(clause=CLAUSE, callback=CALLBACK)


@pytest.mark.parametrize(
    ("nth", "expected"),
    [
        (0, "a > b > c > d > e"),
        (1, "a > . > b > . > c > . > d > . > e"),
        (2, "a > b > . > c > d > . > e"),
        (3, "a > b > c > . > d > e"),
        (4, "a > b > c > d > . > e"),
        (5, "a > b > c > d > e"),
    ],
)
def test_a_point_stands_after_every_nth_link_and_never_after_the_last(nth: int, expected: str) -> None:
    canvas = t("a") | t("b") | t("c") | t("d") | t("e")

    assert pointed(canvas, nth) == expected


@pytest.mark.parametrize(
    ("canvas", "expected"),
    [
        (lambda: t("a"), "a"),
        (lambda: group(t("a"), t("b")), "(a b)"),
        (lambda: chord([t("a"), t("b")], t("c")), "(a b) > . > c"),
        (lambda: group(t("a"), t("b")) | t("c") | t("d"), "(a b) > . > c > . > d"),
        (lambda: t("a") | group(t("b"), t("c")) | t("d"), "a > . > (b c) > . > d"),
        (lambda: t("a") | group(t("b"), t("c")), "a > . > (b c)"),
        (lambda: t("a") | group(t("b"), t("c")) | group(t("d"), t("e")) | t("f"), "a > . > (b c) > . > (d e) > . > f"),
        (lambda: chain(t("a"), chain(t("b"), t("c")), app=t("a").app) | t("d"), "a > . > b > . > c > . > d"),
        (lambda: chord([t("a")], chain(t("b"), t("c"))), "(a) > . > b > . > c"),
        (lambda: chord([t("a")], group([t("b")])), "(a) > (b)"),
        (lambda: t("a") | group(t("b") | t("c"), t("d")) | t("e"), "a > . > (b > c d) > . > e"),
        (lambda: t("a") | t("b") | hand() | t("c") | t("d"), "a > . > b > . > c > . > d"),
        (lambda: hand() | t("a") | t("b") | hand(), ". > a > . > b > ."),
        (lambda: t("a") | group(t("b") | hand() | t("c"), t("d")), "a > . > (b > . > c d)"),
        (lambda: chain(app=t("a").app), ""),
    ],
)
def test_links_are_counted_after_flattening_and_points_placed_by_hand_are_no_links(canvas: Any, expected: str) -> None:
    assert pointed(canvas()) == expected


@pytest.mark.parametrize(
    ("nth", "expected"),
    [
        (0, "a > (b c) > (d e) > f > . > g"),
        (2, "a > (b c) > . > (d e) > f > . > g"),
        (3, "a > (b c) > (d e) > . > f > . > g"),
    ],
)
def test_groups_count_as_one_link_each_and_their_headers_and_bodies_stay_together(nth: int, expected: str) -> None:
    canvas = t("a") | group(t("b"), t("c")) | group(t("d"), t("e")) | t("f") | hand() | t("g")

    assert pointed(canvas, nth) == expected


@pytest.mark.parametrize(
    ("nth", "expected"),
    [(0, "(a b) > (c d) > (e f)"), (1, "(a b) > . > (c d) > . > (e f)"), (2, "(a b) > (c d) > . > (e f)")],
)
def test_three_groups_in_a_row_stay_in_a_row(nth: int, expected: str) -> None:
    canvas = group(t("a"), t("b")) | group(t("c"), t("d")) | group(t("e"), t("f"))

    assert pointed(canvas, nth) == expected


def test_the_result_is_a_chain_but_a_group_alone_stays_a_group() -> None:
    kinds = [tappable(canvas, CLAUSE, CALLBACK).subtask_type for canvas in (t("a"), t("a") | t("b"), group([t("a")]))]

    assert kinds == ["chain", "chain", "group"]


def rich_canvas() -> Any:
    errback = note.s("key")
    header: list[Any] = [
        add.s(1).set(queue="heavy"),
        add.s(2) | hand() | add.s(3),
        chord([add.s(4), add.s(5)], total.s()),
    ]
    canvas: Any = add.s(1, 2).on_error(errback) | chord(header, total.s() | add.s(1)) | group(add.s(6), add.s(7))
    canvas.link(nothing.s())
    canvas.link_error(errback)
    return canvas


def test_neither_the_canvas_nor_clause_nor_callback_is_changed_by_what_is_done_with_the_new_chain() -> None:
    given = (rich_canvas(), CLAUSE, CALLBACK)
    before = json.dumps(given)

    made = tappable(*given)
    made.link(seven.si())
    made.freeze()
    for task in made.kwargs["tasks"]:
        task.set(queue="other", priority=3)

    assert json.dumps(given) == before


def test_what_is_set_on_the_chain_stays_on_it() -> None:
    canvas: Any = add.s(1) | add.s(3)
    canvas.options.update(queue="heavy", link_error=[note.s("key")])
    canvas.args = (7,)

    made = tappable(canvas, CLAUSE, CALLBACK)

    assert (made.options, made.args) == (canvas.options, (7,))


def test_what_is_set_on_a_chord_reaches_its_header_and_its_body() -> None:
    errbacks = [note.s("key")]
    canvas = chord([add.s(1, 2)], total.s() | add.s(3))
    canvas.options.update(queue="heavy", link=[seven.si()], link_error=errbacks)

    header, body, _, last = tappable(canvas, CLAUSE, CALLBACK).kwargs["tasks"]

    assert (header.options, body.options) == ({"queue": "heavy"}, {"queue": "heavy", "link_error": errbacks})
    assert last.options == {"link": [seven.si()], "link_error": errbacks}


def test_points_without_clause_or_callback_take_those_of_tappable_at_any_depth() -> None:
    own = fail.s()
    branch: Any = add.s(3) | pause_or_continue.s() | add.s(4)
    canvas = add.s(1, 2) | pause_or_continue.s(clause=own) | group(branch, add.s(5))

    _, point, beside = tappable(canvas, CLAUSE, CALLBACK, nth=0).kwargs["tasks"]

    nested = beside.kwargs["tasks"][0].kwargs["tasks"][1]
    assert point.kwargs == {"clause": json.loads(json.dumps(own)), "callback": json.loads(json.dumps(CALLBACK))}
    assert nested.kwargs["clause"] == json.loads(json.dumps(CLAUSE))


def test_a_canvas_that_was_json_serves_as_well() -> None:
    canvas = json.loads(json.dumps(t("a") | group(t("b"), t("c")) | t("d")))
    before = json.dumps(canvas)

    assert pointed(canvas) == "a > . > (b c) > . > d"
    assert json.dumps(canvas) == before


@pytest.mark.parametrize("wrong", [None, "add", add, [add.s(1, 2)]])
def test_what_is_no_canvas_is_refused(wrong: Any) -> None:
    with pytest.raises(NotACanvas):
        tappable(wrong, CLAUSE, CALLBACK)


@pytest.mark.parametrize("nth", [-1, 1.5, True, "2", None])
def test_an_interval_that_is_no_whole_number_is_refused(nth: Any) -> None:
    with pytest.raises(PauseIntervalInvalid, match="nth must be a whole number"):
        tappable(t("a"), CLAUSE, CALLBACK, nth)


@pytest.mark.parametrize("wrong", [None, "should_pause", due, add.s(1) | add.s(2), group(add.s(1))])
def test_a_clause_or_callback_that_is_not_the_signature_of_one_task_is_refused(wrong: Any) -> None:
    with pytest.raises(PauseSignatureInvalid, match="The clause of a pause point"):
        tappable(t("a"), wrong, CALLBACK)
    with pytest.raises(PauseSignatureInvalid, match="The callback of a pause point"):
        tappable(t("a"), CLAUSE, wrong)


def test_asking_calls_the_clause_here_with_the_value_and_its_own_arguments() -> None:
    assert ask(add.s(-1), 1) is False
    assert ask(dict(add.s(2)), 1) is True


@pytest.mark.parametrize("missing", ["clause", "callback"])
def test_a_point_that_lacks_its_clause_or_callback_says_which(missing: str) -> None:
    given: dict[str, Any] = {"clause": CLAUSE, "callback": CALLBACK, missing: None}

    with pytest.raises(PausePointIncomplete, match=f"no {missing}.*{missing}=") as refusal:
        pause_or_continue.s(**given)(5)

    assert refusal.value.missing == missing


def test_nothing_is_asked_where_nothing_remains() -> None:
    assert pause_or_continue(5, clause=broken.s(), callback=CALLBACK) == 5


def test_a_pause_in_eager_mode_is_refused_because_the_rest_would_be_lost() -> None:
    canvas = tappable(add.s(1, 2) | add.s(3), seven.si(), CALLBACK)

    with pytest.raises(PausingNeedsWorker, match="eager mode"):
        canvas.apply()


def test_a_workflow_that_is_not_paused_runs_through_in_eager_mode() -> None:
    result = tappable(add.s(1, 2) | add.s(3), nothing.s(), CALLBACK).apply()

    assert result.get() == 6
