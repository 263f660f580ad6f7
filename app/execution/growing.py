"""A step that puts a canvas in its own place: a settle that moves what waits for it to the end of the canvas."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from app.domain.graph import Graph, Inputs, Node, numbers_in, put_in_place
from app.errors import CanvasTooDeep, CanvasTooLarge
from app.execution.endings import failed
from app.execution.links import MAX_STEPS
from app.execution.starting import graph_of, marks_of, step_row
from app.store import growing as store
from app.store.endings import ready_again
from app.store.growing import Waiting
from app.store.laying import insert_edges, insert_steps
from app.store.operations import find_operation

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from app.execution.endings import Ending
    from app.execution.engine import Engine
    from app.store.operations import Operation
    from app.store.steps import StepTask

#: Replacements within replacements.
DEEPEST: Final = 100
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
        graph = graph_of(engine, ending.canvas, operation_id, pause_every, may_be_empty=True)
        _check_size(operation, step, graph)
    except Exception as fault:  # what the author put together
        return failed(fault)
    return replace(ending, graph=graph, message=f"Replaced by {len(graph.nodes)} steps.")


def _check_size(operation: Operation, step: StepTask, graph: Graph) -> None:
    if operation.steps_total + len(graph.nodes) > MAX_STEPS:
        raise CanvasTooLarge("steps", MAX_STEPS)
    if step.slug.count(_WITHIN) >= DEEPEST:
        raise CanvasTooDeep(DEEPEST)


def grow(
    tx: Connection, engine: Engine, operation: Operation, step: StepTask, graph: Graph
) -> tuple[Operation, list[StepTask]]:
    """Put the graph in the place of a step that has just been recorded; returns the operation, and what is ready.

    Whatever was to be given the step's value is given the graph's.
    """
    last, point = store.last_numbers(tx, operation.id)
    moved = _moved(graph, step, last + 1, point)
    ends = set(numbers_in(moved.result)) or moved.references(())
    waiting = store.waiting_for(tx, operation.id, step.number)
    pairs = [(end, one.number) for one in waiting for end in sorted(ends)]
    decides = store.hand_over(tx, operation.id, step.number, pairs)
    _insert(tx, engine, operation, moved, ends if decides else set())
    store.change_inputs(tx, operation.id, [_rewired(one, step, moved, ends) for one in waiting if one.is_pending])
    many = len(moved.nodes)
    after = replace(
        operation,
        steps_total=operation.steps_total + many,
        steps_left=operation.steps_left + many,
        outcome=_rewritten(operation.outcome, step, moved),
    )
    return after, ready_again(tx, operation.id)


def _moved(graph: Graph, step: StepTask, base: int, points: int) -> Graph:
    """The graph, numbered on from the operation's last step and pause point, its slugs within the step's."""

    def moved(node: Node) -> Node:
        pause = node.pause and replace(node.pause, number=node.pause.number + points)
        return replace(
            node,
            number=node.number + base,
            slug=f"{step.slug}{_WITHIN}{node.slug}",
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


def _rewired(one: Waiting, step: StepTask, graph: Graph, ends: set[int]) -> Waiting:
    """What a step that waited for the replaced one is given instead, and how many it waits for."""
    inputs = None if one.inputs is None else _rewritten(one.inputs, step, graph)
    return Waiting(one.number, inputs, one.waiting - 1 + len(ends), is_pending=True)


def _rewritten(inputs: str, step: StepTask, graph: Graph) -> str:
    written: Inputs = json.loads(inputs)

    def instead(number: int) -> Any:
        return graph.result if number == step.number else number

    return json.dumps(put_in_place(written, instead), separators=(",", ":"))
