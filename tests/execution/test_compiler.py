"""The graph that a canvas is compiled into gives the value that plain Celery gives."""

from __future__ import annotations

import json
from random import Random, SystemRandom
from typing import TYPE_CHECKING, Any

import pytest
from celery import chain, chord, group
from celery.canvas import _chain, signature

from pausable.canvas.compiler import compile_canvas
from pausable.canvas.signatures import call_of
from pausable.canvas.tappable import tappable
from pausable.model.graph import Graph, gather
from pausable.model.identity import CALLBACK_TASK, CLAUSE_TASK
from tests.amounts import usually
from tests.canvases import nothing, pack, random_canvas, tell
from tests.execution.pausing import at_work

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery
    from celery.canvas import Signature

CANVASES = usually(40, long=200)
DEADLINE = 60.0

ROWS = [(1, 2), (3, 4), (5, 6)]


def calls(names: str) -> list[Any]:
    return [tell.s(name=name) for name in names]


def shapes() -> dict[str, Any]:
    """Canvases that plain Celery has a value for."""
    letters = calls("abcdef")
    return _shapes_1(*letters) | _shapes_2(*letters) | _shapes_3(*letters) | _shapes_4(*letters)


def _shapes_1(a: Any, b: Any, c: Any, d: Any, _e: Any, _f: Any) -> dict[str, Any]:
    return {
        "a task": a,
        "a chain": a | b | c,
        "a chain of one": chain(a),
        "a chain in a chain": _chain(a, _chain(b, c), d),
        "partial arguments": tell.s(1, name="a") | tell.s(2, [3], name="b", key="k"),
        "an immutable link": a | tell.si(1, name="b") | c,
        "a link given None": nothing.s() | a,
        "a link given a list": pack.s(1, 2) | group(a, b),
        "a group": group(a, b),
        "a group of one": group(a),
        "a group of a generator": a | group(tell.s(n, name="b") for n in range(3)) | c,
        "an empty group": group([]),
        "an empty group in a chain": a | group([]),
        "an empty group before a link": (a | group([])) | b,
        "empty groups and chains in a group": group(group([]), _chain(), a),
    }


def _shapes_2(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> dict[str, Any]:
    return {
        "a group of one in a chain": a | group([b]) | c,
        "a group of one before a link": group([a]) | b,
        "a chain that starts with a group of one": chain(group([a]), b),
        "a group first": group(a, b) | c,
        "a group in the middle": a | group(b, c) | d | e,
        "a group last": a | group(b, c),
        "group after group": group(a, b) | group(c, d),
        "group after group, then a link": a | group(b, c) | group(d, e) | f,
        "immutable members and body": a | group(tell.si(name="b"), c) | tell.si(name="d"),
        "groups in a group": group(a, group(b, group(c, d)), e),
        "groups in a group, last": a | group(b, group(c, group(d, e)), f),
        "groups in a group, then a link": group(a, group(b, group(c, d)), e) | f,
        "a group whose only member ends in a group": group(a | group(b, c)),
        "a group with a member that ends in a group": group(a | group(b, c), d),
        "a group with a member that ends in a group, then a link": group(a | group(b, c), d) | e,
    }


def _shapes_3(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> dict[str, Any]:
    return {
        "a chord": chord([a, b], c),
        "a chord with one in its header": a | chord([b], c),
        "a chord with an empty header": a | chord([], b),
        "a chord with a group as its header": chord([group(a, b), c], d),
        "a chord whose header has a chain that ends in a group": f | chord([a | group(b, c), d], e),
        "a chord in a chord's header": chord([chord([a, b], c), d], e),
        "a chord as a chord's body": chord([a, b], chord([c, d], e)),
        "a chord with a chain as its body": chord([a, b], c | d | e),
        "a chord with a group as its body": chord([a, b], group(c, d)),
        "a chord with a group of one as its body": chord([a, b], group([c])),
        "a chord with a group as its body, then a link": chord([a, b], group(c, d)) | e,
        "a chord whose body ends in a group": chord([a, b], c | group(d, e)),
        "a chord as a group's member": f | group(chord([a, b], c), d),
        "a chord that ends in a group as a group's member": group(chord([a, b], group(c, d)), e) | f,
        "arguments of a chord": chord([a, b], c, args=(1,)),
    }


def _shapes_4(a: Any, b: Any, c: Any, d: Any, _e: Any, _f: Any) -> dict[str, Any]:
    return {
        "keyword arguments of a chord": chord([a, b], c, kwargs={"kwargs": {"key": 1}}),
        "a map": a | tell.map([1, [2]]) | b,
        "a starmap": group(tell.starmap(ROWS), a) | b,
        "chunks": tell.chunks(ROWS, 2),
        "chunks as a group": tell.chunks(ROWS, 2).group() | a,
        "options that change no value": (a.set(priority=3) | group(b, c).set(expires=600) | d).set(soft_time_limit=60),
    }


def broken_shapes() -> dict[str, tuple[Any, Any]]:
    """Canvases that plain Celery has no value for, or one that depends on which message comes first."""
    a, b, c = calls("abc")
    return {
        "chunks in a chain": (a | tell.chunks(ROWS, 2) | pack.s(), [[["tell(1,2)", "tell(3,4)"], ["tell(5,6)"]]]),
        "three groups in a row": (
            chain(group(a, b), group(pack.s(1), pack.s(2)), group(c, pack.s())),
            ["c([[[a(),b()],1],[[a(),b()],2]])", [[[["a()", "b()"], 1], [["a()", "b()"], 2]]]],
        ),
        "a chord with an empty group as its body": (chord([a, b], group([])), []),
        "an empty chain": (_chain(), None),
    }


@pytest.fixture
def plain(plain_app: Celery) -> Iterator[Celery]:
    """Plain Celery at work, which the canvases of a test belong to."""
    with at_work(plain_app):
        yield plain_app


def value_of(graph: Graph, app: Celery) -> Any:
    """Call the tasks of a graph one by one."""
    results: dict[int, Any] = {}
    for node in graph.nodes:
        upstream = () if node.inputs is None else (gather(node.inputs, results),)
        args, kwargs = call_of(json.loads(json.dumps(node.signature)), *upstream)
        results[node.number] = app.tasks[node.task](*args, **kwargs)
    return gather(graph.result, results)


def values_of(canvas: Signature[Any], app: Celery, nth: int) -> list[Any]:
    """What a canvas gives compiled as it is, and with pause points after every nth link."""
    clause, callback = signature(CLAUSE_TASK, args=(1,)), signature(CALLBACK_TASK, args=(1,))
    canvases = [canvas, tappable(canvas, clause, callback, nth)]
    return [value_of(compile_canvas(each, pause_every=nth, app=app), app) for each in canvases]


@pytest.mark.parametrize("shape", shapes())
def test_a_compiled_canvas_gives_the_value_that_plain_celery_gives(shape: str, plain: Celery) -> None:
    canvas = shapes()[shape]

    value = value_of(compile_canvas(canvas, pause_every=1, app=plain), plain)

    assert value == canvas.apply_async().get(timeout=DEADLINE)


@pytest.mark.parametrize("shape", broken_shapes())
def test_where_celery_has_no_value_the_sane_one_is_given(shape: str, plain: Celery) -> None:
    canvas, sane = broken_shapes()[shape]

    assert value_of(compile_canvas(canvas, pause_every=1, app=plain), plain) == sane


def test_random_canvases_give_the_values_that_plain_celery_gives(plain: Celery) -> None:
    seed = SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  # shown when the test fails
    rng = Random(seed)
    canvases = [random_canvas(rng) for _ in range(CANVASES)]

    values = [values_of(canvas, plain, rng.randint(0, 3)) for canvas in canvases]

    results = [canvas.apply_async() for canvas in canvases]
    for canvas, value, result in zip(canvases, values, results, strict=True):
        expected = result.get(timeout=DEADLINE)
        assert value == [expected, expected], f"seed {seed}: {canvas!r}"


def test_compiling_leaves_the_canvas_as_it_was(plain: Celery) -> None:
    canvases = list(shapes().values())
    before = json.dumps(canvases)

    for canvas in canvases:
        compile_canvas(canvas, pause_every=1, app=plain)

    assert json.dumps(canvases) == before
