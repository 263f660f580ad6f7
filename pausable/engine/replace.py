"""A step that puts a canvas in its own place: a settle that moves what waits for it to the end of the canvas."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from itertools import chain, count
from typing import TYPE_CHECKING, Any, Final

from pausable.canvas.reader import MAX_STEPS
from pausable.canvas.task import is_author_error
from pausable.canvas.values import decode
from pausable.db import transitions as store
from pausable.db.operations import find_operation
from pausable.db.transitions import insert_edges, insert_steps
from pausable.engine.outcome import failed
from pausable.engine.start import graph_of, marks_of, step_row
from pausable.errors import CanvasTooDeep, CanvasTooLarge
from pausable.model.graph import (
    Graph,
    Growth,
    Inputs,
    Node,
    PausePoint,
    numbers_in,
    put_at,
    put_in_place,
    steps_within,
    ways_to,
)
from pausable.model.identity import put_within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pausable.db.database import Connection
    from pausable.db.operations import Operation
    from pausable.db.transitions import StepTask
    from pausable.engine.engine import Engine
    from pausable.engine.outcome import Ending
    from pausable.model.states import StepState

#: Replacements within replacements.
DEEPEST: Final = 100
#: Characters of a slug that stand in those of the steps that were put in its place.
_LONGEST_PREFIX: Final = 400
#: What parts the slug of a step from those of the steps that it put in its place.
_WITHIN: Final = "."


def compiled(engine: Engine, operation_id: int, step: StepTask, ending: Ending) -> Ending:
    """The ending with the graph of its canvas; a canvas that cannot be put in the step's place is its failure."""
    with engine.database.glance() as tx:
        operation = find_operation(tx, operation_id)
    if operation is None:
        return ending
    try:
        pause_every = engine.policies.of_workflow(operation.workflow).pause_every
        errbacks = decode(step.signature).get("options", {}).get("link_error") or ()
        graph = graph_of(engine, ending.canvas, operation_id, pause_every, may_be_empty=True, errbacks=errbacks)
        graph = _with_first_point(graph) if pause_every else graph
        _check_size(operation, step, graph)
    except BaseException as fault:  # what the author put together: a generator runs their code
        if not is_author_error(fault):
            raise
        return failed(fault)
    return replace(ending, graph=graph, message=f"Replaced by {len(graph.nodes)} steps.")


def _with_first_point(graph: Graph) -> Graph:
    """Return the graph with a pause point before its first steps: they wait for the step in whose place they come."""
    number = 1 + max((node.pause.number for node in graph.nodes if node.pause), default=0)

    def behind_point(node: Node) -> Node:
        return node if node.upstream or node.pause else replace(node, pause=PausePoint(number))

    return replace(graph, nodes=tuple(map(behind_point, graph.nodes)))


def _check_size(operation: Operation, step: StepTask, graph: Graph) -> None:
    if operation.steps_total + len(graph.nodes) > MAX_STEPS:
        raise CanvasTooLarge("steps", MAX_STEPS)
    if step.slug.count(_WITHIN) >= DEEPEST:
        raise CanvasTooDeep(DEEPEST)


def replace_step(
    tx: Connection, engine: Engine, operation: Operation, step: StepTask, graph: Graph
) -> tuple[Operation, list[StepTask]]:
    """Put the graph in the place of a step that has just been recorded; returns the operation, and what is ready.

    Whatever was to be given the step's value is given the graph's: it goes on naming the step, and reads what was put
    in its place. So a step that waits for many that grow is not written anew for each of them.
    """
    last, point = store.last_numbers(tx, operation.id)
    moved = _moved(graph, step, _prefix(tx, operation.id, step, graph), last + 1, point)
    ends = set(numbers_in(moved.result)) or moved.references(())
    roots = [node.number for node in moved.nodes if not node.upstream]
    waiting = store.waiting_for(tx, operation.id, step.number)
    decides = False
    if ends:  # of an empty graph, the replaced step itself is the end
        pairs = [(end, one.number) for one in waiting for end in sorted(ends)]
        decides = store.hand_over(tx, operation.id, step.number, pairs)
        _insert(tx, engine, operation, moved, ends if decides else set())
        insert_edges(tx, operation.id, ((step.number, root) for root in roots))
    more = len(ends) - 1  # than the replaced step, for which they waited
    counted = [replace(one, waiting=one.waiting + more) if one.is_pending else one for one in waiting]
    store.change_waiting(tx, operation.id, [one for one in counted if more and one.is_pending])
    ways = ways_to(json.loads(operation.outcome), step.number)
    growth = Growth(moved.result, tuple(one.number for one in waiting), tuple((None, way) for way in ways), decides)
    many = len(moved.nodes)
    store.store_growth(tx, operation.id, step.number, growth, last + many)
    after = replace(
        operation,
        steps_total=operation.steps_total + many,
        steps_left=operation.steps_left + many,
        outcome=_rewritten(operation.outcome, step, moved),
    )
    free = [one.number for one in counted if one.waiting == 0]
    return after, store.ready_among(tx, operation.id, [*roots, *free])


def _prefix(tx: Connection, operation_id: int, step: StepTask, graph: Graph) -> str:
    """What is put before the slugs of the graph, so that each differs from all others of the operation.

    A long one is abbreviated to the initials of its parts and a digest.
    """
    name = step.slug
    if len(name) > _LONGEST_PREFIX:
        initials = _WITHIN.join(part[:1] for part in name.split(_WITHIN))
        name = f"{initials}~{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    slugs = {node.slug for node in graph.nodes}
    prefixes = chain([f"{name}{_WITHIN}"], (f"{name}~{number}{_WITHIN}" for number in count(2)))
    for prefix in prefixes:
        used = store.slugs_within(tx, operation_id, prefix)
        if not any(slug.removeprefix(prefix) in slugs for slug in used):
            break
    return prefix


def take_back_replacements(
    tx: Connection, operation: Operation, states: dict[int, StepState], edges: list[tuple[int, int]], again: set[int]
) -> tuple[Operation, list[tuple[int, int]]]:
    """Take back what the steps that run again have put in their own places: they may put something else there.

    Args:
        tx: A transaction that holds the operation.
        operation: The operation.
        states: Where its steps stand, by number; those that are removed are taken out.
        edges: Its edges, as (upstream, downstream) pairs.
        again: The steps that run again; those that are removed are taken out.

    Returns:
        The operation and its edges once these steps are removed.
    """
    grown = {number: growth for number, growth in store.growths_of(tx, operation.id).items() if number in again}
    if not grown:
        return operation, edges
    gone = set().union(*(steps_within(number, growth, edges) for number, growth in grown.items()))
    kept = {number: growth for number, growth in grown.items() if number not in gone}
    restored = [(number, down) for number, growth in kept.items() for down in growth.below if down not in gone]
    left = [pair for pair in edges if gone.isdisjoint(pair)]
    store.remove_growths(tx, operation.id, grown, gone)
    insert_edges(tx, operation.id, set(restored).difference(left))
    outcome = _restore(tx, operation, kept, gone)
    for number in gone:
        states.pop(number, None)
    again -= gone
    after = replace(operation, steps_total=operation.steps_total - len(gone), outcome=outcome)
    return after, sorted({*left, *restored}, key=lambda pair: (pair[1], pair[0]))


def _restore(tx: Connection, operation: Operation, grown: Mapping[int, Growth], gone: set[int]) -> str:
    """Hand the values of the replaced steps where they were handed to before; returns the operation's outcome."""
    places = [
        (place, way, number)
        for number, growth in grown.items()
        for place, way in growth.places
        if place is None or place not in gone
    ]
    written = store.inputs_of(tx, operation.id, {place for place, _way, _number in places if place is not None})
    inputs: dict[int | None, Inputs] = {place: json.loads(given or "null") for place, given in written.items()}
    inputs[None] = json.loads(operation.outcome)
    for place, way, number in places:
        inputs[place] = put_at(inputs[place], way, number)
    told = {place: None if given is None else _json(given) for place, given in inputs.items()}
    deciding = [number for number, growth in grown.items() if growth.decides]
    store.restore(tx, operation.id, {place: given for place, given in told.items() if place is not None}, deciding)
    return told[None] or "null"


def _moved(graph: Graph, step: StepTask, prefix: str, base: int, points: int) -> Graph:
    """The graph, numbered on from the operation's last step and pause point, its slugs within the step's."""

    def moved(node: Node) -> Node:
        pause = node.pause and replace(node.pause, number=node.pause.number + points)
        return replace(
            node,
            number=node.number + base,
            slug=prefix + node.slug,
            signature=put_within(node.signature, prefix, step.slug, step.call, takes_place=node.number == graph.result),
            inputs=put_in_place(node.inputs, lambda number: number + base),
            after=tuple(number + base for number in node.after),
            pause=pause,
        )

    return Graph(tuple(map(moved, graph.nodes)), put_in_place(graph.result, lambda number: number + base))


def _insert(tx: Connection, engine: Engine, operation: Operation, graph: Graph, references: set[int]) -> None:
    plain = marks_of(engine, graph, references)
    rows = [step_row(operation.id, node) | marks for node, marks in zip(graph.nodes, plain, strict=True)]
    if rows:
        insert_steps(tx, rows)
    insert_edges(tx, operation.id, graph.edges())


def _rewritten(inputs: str, step: StepTask, graph: Graph) -> str:
    written: Inputs = json.loads(inputs)

    def instead(number: int) -> Any:
        return graph.result if number == step.number else number

    return _json(put_in_place(written, instead))


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
