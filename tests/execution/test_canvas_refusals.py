"""Canvases that cannot become steps are refused, each by name."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from celery import chord, group, signature

from pausable.errors import (
    CanvasRefused,
    CanvasTooDeep,
    CanvasTooLarge,
    NotACanvas,
    OptionRefused,
    UnknownTasks,
    UnstorableArgument,
)
from tests.execution.test_compiled_graph import compiled, link, pay, tell


def test_tasks_that_nobody_registered_are_named() -> None:
    with pytest.raises(UnknownTasks, match=r"under gone\.a, gone\.b\."):
        compiled(signature("gone.b") | group(link("a"), signature("gone.a")))


def test_the_task_of_a_map_must_be_registered_too() -> None:
    unknown = signature("celery.map", kwargs={"task": signature("gone.a"), "it": [1]}, immutable=True)

    with pytest.raises(UnknownTasks, match=r"gone\.a"):
        compiled(unknown)


@pytest.mark.parametrize(
    ("canvas", "message"),
    [
        (pay.s({"when": timedelta(1)}), "step pay-2: args[0].when is a timedelta"),
        (pay.s(key=[1, {2}]), "step pay-2: kwargs.key[1] is a set"),
        (pay.s([float("nan")]), "step pay-2: args[0][0] is nan"),
        (pay.s({(1, 2): 3}), "step pay-2: args[0] has a key that is a tuple"),
        (signature("shop.pay", options={"headers": {"x": OSError()}}), "step pay-2: options.headers.x is an OSError"),
    ],
)
def test_what_json_cannot_hold_is_named_by_its_path(canvas: Any, message: str) -> None:
    with pytest.raises(UnstorableArgument) as refused:
        compiled(pay.s() | canvas)

    assert str(refused.value).startswith(message)


def test_an_argument_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(UnstorableArgument, match="contains itself"):
        compiled(pay.s(endless))


def test_an_option_that_cannot_be_honoured_is_named() -> None:
    with pytest.raises(OptionRefused, match="step tell: an operation cannot honour the option rate_limit"):
        compiled(pay.s() | signature("shop.tell", options={"rate_limit": "1/s"}))


@pytest.mark.parametrize("canvas", [None, 7, "shop.pay", group(chord([link("a")])), {"kwargs": {}}])
def test_what_is_no_canvas_is_refused(canvas: Any) -> None:
    with pytest.raises(NotACanvas):
        compiled(canvas)


def nested(depth: int) -> Any:
    canvas: Any = link("a")
    for _ in range(depth):
        canvas = group([canvas | link("b"), link("c")])
    return canvas


def test_groups_may_be_nested_a_hundred_deep_and_no_deeper() -> None:
    assert len(compiled(nested(100)).nodes) == 201
    with pytest.raises(CanvasTooDeep):
        compiled(nested(101))


def test_a_canvas_of_too_many_steps_or_edges_is_refused() -> None:
    wide = group([link("a")] * 1_001)
    for canvas in (group([link("a")] * 100_001), group([tell.s()] * 1_001) | wide):
        with pytest.raises(CanvasTooLarge):
            compiled(canvas)


def test_every_refusal_is_a_refusal_of_the_canvas() -> None:
    refusals = (NotACanvas, UnknownTasks, UnstorableArgument, OptionRefused, CanvasTooDeep, CanvasTooLarge)

    assert all(issubclass(refusal, CanvasRefused) for refusal in refusals)
