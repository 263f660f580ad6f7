"""What a canvas is compiled into: pause points, stored signatures, options and callbacks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery, chain, chord, group, shared_task, signature
from kombu import Queue

from pausable.canvas.compiler import compile_canvas
from pausable.model.identity import CALLBACK_TASK, CLAUSE_TASK, PAUSE_TASK

if TYPE_CHECKING:
    from celery.canvas import Signature

    from pausable.model.graph import Graph, Node

celery = Celery("compiled", set_as_current=False, broker="memory://")


@shared_task(name="shop.pay")
def pay(*_args: Any, **_kwargs: Any) -> None: ...


@shared_task(name="shop.tell")
def tell(*_args: Any) -> None: ...


@shared_task(name="shop.due")
def due(_retval: Any, _limit: int) -> bool:
    return False


def compiled(canvas: Any, pause_every: int = 1) -> Graph:
    return compile_canvas(canvas, pause_every=pause_every, app=celery)


def link(name: str) -> Any:
    """A call whose step is told by its first argument."""
    return pay.si(name)


def node_of(graph: Graph, name: str) -> Node:
    return next(node for node in graph.nodes if node.signature["args"] == [name])


def points_of(graph: Graph) -> dict[str, int | None]:
    return {node.signature["args"][0]: node.pause.number if node.pause else None for node in graph.nodes}


def point(clause: Any = None, callback: Any = None) -> Signature[Any]:
    return signature(PAUSE_TASK, kwargs={"clause": clause, "callback": callback})


def options_of(graph: Graph) -> list[dict[str, Any]]:
    return [node.signature.get("options", {}) for node in graph.nodes]


def errbacks_of(graph: Graph) -> list[list[str]]:
    return [[errback["task"] for errback in options.get("link_error", [])] for options in options_of(graph)]


def test_a_step_waits_behind_the_point_before_it() -> None:
    graph = compiled(chain(link("a"), point(), link("b"), link("c")))

    assert points_of(graph) == {"a": None, "b": 1, "c": None}


def test_all_that_becomes_ready_behind_a_point_carries_its_number() -> None:
    graph = compiled(chain(link("a"), point(), group(link("b"), chord([link("c")], link("d"))), point(), link("e")), 0)

    assert points_of(graph) == {"a": None, "b": 1, "c": 1, "d": None, "e": 2}


def test_a_point_of_the_service_has_no_clause_and_callback_of_its_own() -> None:
    own = point(signature(CLAUSE_TASK, args=(7,)), dict(signature(CALLBACK_TASK, args=(7,))))

    node = node_of(compiled(chain(link("a"), own, link("b"))), "b")

    assert node.pause is not None
    assert (node.pause.clause, node.pause.callback) == (None, None)


def test_the_authors_own_clause_is_kept_as_a_signature_that_celery_can_call() -> None:
    node = node_of(compiled(chain(link("a"), point(due.s(3), signature(CALLBACK_TASK)), link("b"))), "b")

    assert node.pause is not None
    assert node.pause.callback is None
    assert signature(node.pause.clause, app=celery)("value") is False  # type: ignore[arg-type]


def test_points_with_nothing_before_or_behind_them_are_dropped() -> None:
    graph = compiled(chain(point(), link("a"), link("b"), point()))

    assert points_of(graph) == {"a": None, "b": None}


def test_of_two_points_in_a_row_the_authors_own_stands() -> None:
    graph = compiled(chain(link("a"), point(due.s(1)), point(), link("b")))

    pause = node_of(graph, "b").pause
    assert pause is not None
    assert pause.clause is not None


@pytest.mark.parametrize(("nth", "points"), [(0, [None] * 5), (1, [None, 1, 2, 3, 4]), (2, [None, None, 1, None, 2])])
def test_a_chain_in_a_group_gets_a_point_after_every_nth_link(nth: int, points: list[int | None]) -> None:
    graph = compiled(group(chain(*map(link, "abcde")), link("x")), nth)

    assert [points_of(graph)[name] for name in "abcde"] == points


def test_a_chord_in_a_group_is_a_chain_of_its_header_and_its_body() -> None:
    graph = compiled(group(chord([link("a"), link("b")], link("c") | link("d")), link("x")), 2)

    assert points_of(graph) == {"a": None, "b": None, "c": None, "d": 1, "x": None}


def test_a_point_placed_by_hand_in_a_chain_in_a_group_gets_no_second_one() -> None:
    graph = compiled(group(chain(link("a"), point(due.s(1)), link("b"), link("c")), link("x")), 1)

    pauses = [node_of(graph, name).pause for name in "bc"]
    assert [pause and pause.clause is not None for pause in pauses] == [True, False]


def test_an_immutable_step_waits_for_its_upstream_and_takes_nothing_from_it() -> None:
    graph = compiled(tell.s() | group(tell.s(), tell.s()) | tell.si(1))

    assert [(node.inputs, node.after) for node in graph.nodes] == [(None, ()), (0, ()), (0, ()), (None, (1, 2))]


def test_a_chord_with_an_empty_header_hands_on_an_empty_list_and_still_waits() -> None:
    graph = compiled(tell.s() | chord([], tell.s()))

    assert (graph.nodes[1].inputs, graph.nodes[1].after) == ([], (0,))


def test_a_stored_signature_holds_what_is_there_and_no_more() -> None:
    stored = [node.signature for node in compiled(tell.s() | pay.si((1, None), key={2: "b"})).nodes]

    family = {"parent": "tell", "root": "tell"}
    call = {"task": "shop.pay", "args": [[1, None]], "kwargs": {"key": {"2": "b"}}, "immutable": True, "family": family}
    assert stored == [{"task": "shop.tell"}, call]


def test_options_and_stamps_of_a_call_are_kept_and_celerys_book_keeping_is_not() -> None:
    canvas: Any = pay.s()
    canvas.set(queue=Queue("slow"), priority=3, eta=datetime(2030, 1, 1, tzinfo=UTC), time_limit=None, task_id="mine")
    canvas.freeze()
    canvas.stamp(team="red")

    kept = {"queue": "slow", "priority": 3, "eta": "2030-01-01T00:00:00+00:00", "task_id": "mine"}
    assert options_of(compiled(canvas)) == [kept | {"team": "red", "stamped_headers": ["team"]}]


def test_an_id_of_a_chain_is_its_last_steps_and_one_of_a_chord_its_bodys() -> None:
    a_chain = chain(link("a"), link("b"), task_id="of b")
    a_chord = chord([link("c"), link("d")], link("e"), task_id="of e")

    assert [options.get("task_id") for options in options_of(compiled(a_chain))] == [None, "of b"]
    assert [options.get("task_id") for options in options_of(compiled(a_chord))] == [None, None, "of e"]


def test_an_id_of_a_group_is_known_to_its_members() -> None:
    graph = compiled(group(link("a"), link("b") | link("c"), task_id="of both"))

    families = {node.signature["args"][0]: node.signature.get("family") for node in graph.nodes}
    assert families == {
        "a": {"group": {"id": "of both"}, "index": 0},
        "b": None,
        "c": {"parent": "pay-2", "root": "pay-2", "group": {"id": "of both"}, "index": 1},
    }


def test_stamps_of_a_call_are_not_overridden_by_what_is_set_around_it() -> None:
    canvas: Any = link("a")
    canvas.stamp(team="red")
    whole = group(canvas, link("b"))
    whole.options.update(team="blue", stamped_headers=["team"])

    assert [options["team"] for options in options_of(compiled(whole))] == ["red", "blue"]


def test_a_naive_time_is_in_the_time_zone_of_the_app() -> None:
    graph = compiled(pay.s().set(eta=datetime(2030, 1, 1)))

    assert options_of(graph) == [{"eta": "2030-01-01T00:00:00+00:00"}]


def test_options_of_a_chain_go_to_its_first_step_and_those_of_a_group_to_all_its_members() -> None:
    canvas = group(chain(link("a"), link("b")).set(queue="x"), link("c").set(priority=1)).set(queue="y", priority=2)

    both = {"queue": "y", "priority": 2}
    assert options_of(compiled(canvas)) == [both, {}, both]


def test_a_countdown_of_a_chord_delays_its_header_alone() -> None:
    canvas = chord([link("a"), link("b")], link("c")).set(countdown=5, queue="x")

    header = {"countdown": 5, "queue": "x"}
    assert options_of(compiled(canvas)) == [header, header, {"queue": "x"}]


def test_an_errback_of_the_whole_reaches_every_step_but_a_chords_header() -> None:
    canvas = link("a") | group(link("b"), link("c") | link("d")) | link("e") | group(link("f"), link("g"))
    canvas.link_error(tell.s())

    both = ["shop.tell", "shop.pay"]
    assert errbacks_of(compiled(chain(canvas).on_error(pay.s()))) == [both, [], [], [], both, both, both]


def test_an_errback_of_a_chord_is_its_bodys_and_that_of_a_chord_in_its_header() -> None:
    header = [link("a"), chord([link("b")], link("c"))]
    canvas = chain(link("z"), chord(header, link("d")).set(link_error=tell.s())).on_error(pay.s())

    told = {node.signature["args"][0]: node for node in compiled(canvas).nodes}
    names = {
        name: [one["task"] for one in node.signature.get("options", {}).get("link_error", [])]
        for name, node in told.items()
    }
    assert names == {"z": ["shop.pay"], "a": [], "b": [], "c": ["shop.pay"], "d": ["shop.tell", "shop.pay"]}
    assert [name for name, node in told.items() if node.signature.get("family", {}).get("chord")] == ["c", "d"]


def test_an_errback_is_stored_as_a_signature_that_celery_can_send() -> None:
    [options] = options_of(compiled(link("a").on_error(tell.s((1, 2)).set(queue="x"))))

    [errback] = options["link_error"]
    assert signature(errback, app=celery).options == {"queue": "x"}
    assert errback["args"] == [[1, 2]]


def test_a_linked_callback_is_a_step_that_the_result_leaves_out() -> None:
    canvas = tell.s() | tell.s()
    canvas.link(pay.s("then"))

    graph = compiled(canvas)

    assert graph.result == 1
    assert [(node.task, node.inputs) for node in graph.nodes] == [
        ("shop.tell", None),
        ("shop.tell", 0),
        ("shop.pay", 1),
    ]


def test_what_is_linked_to_a_linked_point_waits_behind_it() -> None:
    behind = point()
    behind.link(link("b"))
    start = link("a")
    start.link(behind)

    assert points_of(compiled(start)) == {"a": None, "b": 1}


def test_ten_thousand_linked_callbacks_in_a_row_are_compiled() -> None:
    last = first = link("a")
    for _ in range(10_000):
        last = last.link(link("b"))

    assert len(compiled(first).nodes) == 10_001


def test_steps_are_numbered_in_topological_order_and_named_once() -> None:
    graph = compiled(link("a") | group(link("b") | link("c"), tell.s()) | link("d"))

    assert [node.slug for node in graph.nodes] == ["pay-1", "pay-2", "pay-3", "tell", "pay-4"]
    assert all(upstream < downstream for upstream, downstream in graph.edges())


def test_canvases_read_back_from_json_are_compiled() -> None:
    plain: dict[str, Any] = {
        "task": "shop.pay",
        "args": ["a"],
        "kwargs": {},
        "options": {},
        "subtask_type": None,
        "immutable": False,
    }
    canvas = {"task": "celery.chain", "args": [], "kwargs": {"tasks": [plain, plain]}, "subtask_type": "chain"}

    assert len(compiled(canvas).nodes) == 2
