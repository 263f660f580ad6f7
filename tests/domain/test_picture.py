"""The picture of a graph: readable, whole, and harmless whatever the names are."""

from __future__ import annotations

import cProfile
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pausable.model.picture import Drawn, draw, fold, lay_out
from pausable.model.states import StepState

if TYPE_CHECKING:
    from collections.abc import Callable

if TYPE_CHECKING:
    Graph = tuple[list[Drawn], list[tuple[int, int]]]

_S = StepState
SVG = "{http://www.w3.org/2000/svg}"


def steps(*names: str, state: StepState | None = _S.SUCCESS) -> list[Drawn]:
    return [Drawn(number, name, name.split("-", maxsplit=1)[0], state, 1.0) for number, name in enumerate(names)]


def line(many: int) -> tuple[list[Drawn], list[tuple[int, int]]]:
    return steps(*(f"add-{n}" for n in range(many))), [(n, n + 1) for n in range(many - 1)]


def diamond(width: int, length: int = 1) -> tuple[list[Drawn], list[tuple[int, int]]]:
    """One step, so many lines of so many steps beside each other, one step."""
    names = ["split", *(f"part{place}-{branch}" for branch in range(width) for place in range(length)), "merge"]
    edges, last = [], len(names) - 1
    for branch in range(width):
        way = [0, *(1 + branch * length + place for place in range(length)), last]
        edges += list(pairwise(way))
    return steps(*names), edges


def texts(picture: str) -> list[str]:
    return [text.text or "" for text in ET.fromstring(picture).iter(f"{SVG}text")]  # noqa: S314


def test_every_step_of_a_small_graph_is_shown_with_its_state_and_the_time_it_took() -> None:
    drawn = [Drawn(0, "load", "load", _S.SUCCESS, 0.25), Drawn(1, "clean", "clean", _S.RUNNING, 75)]

    shown = texts(draw("a report", drawn, [(0, 1)]))

    assert shown[:4] == ["load", "Success · 250 ms", "clean", "Running · 1 min 15 s"]


def test_states_differ_by_mark_and_not_by_colour_alone() -> None:
    marks = set()
    for state in StepState:
        root = ET.fromstring(draw("one", steps("a", state=state), []))  # noqa: S314
        marks.add(next(path.get("d") for path in root.iter(f"{SVG}path")))

    assert len(marks) == len(StepState)


@pytest.mark.parametrize(("graph", "most"), [(line(200), 6), (diamond(100), 3), (diamond(100, length=3), 5)])
def test_what_repeats_itself_is_folded_and_nothing_is_lost(
    graph: tuple[list[Drawn], list[tuple[int, int]]], most: int
) -> None:
    boxes = fold(*graph)

    assert len(boxes) <= most
    assert sorted(step.number for box in boxes for step in box.steps) == list(range(len(graph[0])))


def test_a_dozen_is_shown_one_by_one() -> None:
    assert len(fold(*line(12))) == 12
    assert len(fold(*diamond(12))) == 14


def test_a_folded_box_tells_first_of_the_state_that_people_look_for() -> None:
    drawn, edges = diamond(100)
    drawn[50] = Drawn(50, "part0-49", "part0", _S.FAILED)

    (box,) = [box for box in fold(drawn, edges) if box.fold]

    assert (box.label, box.state, box.counts) == ("100 \N{MULTIPLICATION SIGN} part0", "Failed", "1 Failed, 99 Success")


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '"><svg onload="x"', "&amp;", "\x00\x1b[31m\ud800", "x" * 500]
)
def test_hostile_names_are_text(name: str) -> None:
    root = ET.fromstring(draw(name, steps(name), []))  # noqa: S314

    assert {element.tag for element in root.iter()} <= {
        SVG + tag for tag in ("svg", "title", "desc", "rect", "g", "path", "text")
    }
    assert not [key for element in root.iter() for key in element.attrib if key.startswith("on")]


@given(
    st.integers(1, 40).flatmap(
        lambda n: st.tuples(st.just(n), st.sets(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=80))
    )
)
def test_any_graph_is_drawn_whole_from_left_to_right(graph: tuple[int, set[tuple[int, int]]]) -> None:
    many, pairs = graph
    edges = sorted({(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]})
    drawn = [Drawn(number, f"s{number}", f"t{number % 3}", None) for number in range(many)]

    boxes = fold(drawn, edges)
    layout = lay_out(tuple(box.upstream for box in boxes))

    assert sorted(step.number for box in boxes for step in box.steps) == list(range(many))
    assert all(layout.place[up][0] < layout.place[box][0] for box, one in enumerate(boxes) for up in one.upstream)
    assert len(set(layout.place)) == len(boxes)
    ET.fromstring(draw("any", drawn, edges))  # noqa: S314


def handed_all(many: int) -> tuple[list[Drawn], list[tuple[int, int]]]:
    """A line in which the last step is also handed what each before it returned."""
    drawn, edges = line(many)
    return drawn, edges + [(number, many - 1) for number in range(many - 2)]


def layered(many: int, width: int = 10) -> tuple[list[Drawn], list[tuple[int, int]]]:
    """Layers of so many steps, each of which waits for the whole layer before."""
    layers = [range(first, min(many, first + width)) for first in range(0, many, width)]
    return steps(*(f"add-{n}" for n in range(many))), [(up, one) for a, b in pairwise(layers) for one in b for up in a]


def calls_to_draw(graph: tuple[list[Drawn], list[tuple[int, int]]]) -> int:
    """Function calls that drawing takes: the same on every machine."""
    lay_out.cache_clear()
    profile = cProfile.Profile()
    profile.runcall(draw, "large", *graph)
    return sum(entry.callcount for entry in profile.getstats())


@pytest.mark.parametrize("graph", [handed_all, layered])
def test_a_dense_picture_takes_no_more_work_for_each_step_the_more_steps_there_are(graph: Callable[[int], Any]) -> None:
    few, many = calls_to_draw(graph(200)), calls_to_draw(graph(10_000))

    assert many < 50 * few


@pytest.mark.parametrize("graph", [handed_all(10_000), layered(1_000), layered(20_000)])
def test_a_picture_that_would_have_too_many_lines_is_folded_by_layers_and_says_so(graph: Graph) -> None:
    picture = draw("large", *graph)

    assert "Too many steps and edges to draw each: neighbouring layers are one box." in texts(picture)
    assert f"<desc>{len(graph[0])} steps, folded by layers</desc>" in picture
    assert len(fold(*graph)) <= 100
    assert len(picture) < 500_000


def test_a_graph_is_laid_out_once_while_its_steps_change_their_states() -> None:
    drawn, edges = diamond(3)
    draw("a report", drawn, edges)
    before = lay_out.cache_info().misses

    draw("a report", [replace(one, state=_S.RUNNING) for one in drawn], edges)

    assert lay_out.cache_info().misses == before
