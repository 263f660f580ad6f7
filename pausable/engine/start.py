"""Starting an operation: its canvas becomes steps and edges, written in the transaction that creates its row."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pausable import clock
from pausable.canvas.compiler import compile_canvas, compile_flow
from pausable.canvas.flow import Flow
from pausable.canvas.tappable import link_errbacks, tappable
from pausable.db.history import append_event
from pausable.db.operations import insert_operation
from pausable.db.transitions import insert_edges, insert_steps
from pausable.engine.publish import earliest, later, next_publish, not_before
from pausable.errors import CallMisfits, CanvasEmpty, OptionRefused, TaskUnfit
from pausable.model.identity import CALLBACK_TASK, CLAUSE_TASK
from pausable.model.options import OWN_OPTIONS, faults_in
from pausable.model.states import Completion, StepState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from celery import Signature, Task

    from pausable.engine.engine import Engine
    from pausable.engine.policies import WorkflowPolicy
    from pausable.model.graph import Graph, Node


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for: by whom, which workflow, with which arguments, under which idempotency key.

    With `start_at`, in seconds since the epoch, no step of it is started before.
    """

    requester_id: int
    requester: str
    workflow: str
    arguments: dict[str, Any]
    idempotency_key: str | None = None
    digest: str | None = None
    start_at: float | None = None


class FirstStep(NamedTuple):
    """A step that waits for no other."""

    number: int
    call: dict[str, Any]


def graph_of(
    engine: Engine,
    canvas: Signature[Any] | Flow,
    operation_id: int | None,
    pause_every: int,
    *,
    may_be_empty: bool = False,
    errbacks: Sequence[dict[str, Any]] = (),
) -> Graph:
    """Return the steps of a canvas that has been made tappable, or of a flow.

    Args:
        engine: The engine that is to run them.
        canvas: What a workflow has returned, or what a step is replaced by.
        operation_id: The operation that they are steps of; None where there is none yet.
        pause_every: After how many links there is a pause point.
        may_be_empty: Whether a canvas without a step is accepted.
        errbacks: Error callbacks of the step that is replaced by the canvas.

    Raises:
        CanvasRefused: It cannot be an operation's.
    """
    graph = _compiled(engine, canvas, operation_id, pause_every, errbacks)
    demand_runnable(engine, graph, may_be_empty=may_be_empty)
    return graph


def _compiled(
    engine: Engine,
    canvas: Signature[Any] | Flow,
    operation_id: int | None,
    pause_every: int,
    errbacks: Sequence[dict[str, Any]],
) -> Graph:
    if isinstance(canvas, Flow):
        return compile_flow(canvas, pause_every=pause_every, app=engine.app, errbacks=errbacks)[0]
    tasks = engine.app.tasks
    if errbacks:
        canvas = link_errbacks(canvas, errbacks, engine.app)
    clause, callback = tasks[CLAUSE_TASK].s(operation_id), tasks[CALLBACK_TASK].s(operation_id)
    whole = tappable(canvas, clause, callback, nth=pause_every)
    return compile_canvas(whole, pause_every=pause_every, app=engine.app)


def demand_runnable(engine: Engine, graph: Graph, *, may_be_empty: bool = False) -> None:
    """Refuse a graph in which a step cannot be run as it is called. Raises CanvasRefused."""
    if not graph.nodes and not may_be_empty:
        raise CanvasEmpty
    for node in graph.nodes:
        if node.signature.get("options", {}).get("expires") is not None:
            raise OptionRefused(node.slug, "expires")
    _refuse_misfits(engine, graph)
    for name in sorted({node.task for node in graph.nodes}):
        _refuse_unfit_task(name, engine.app.tasks[name])


def _refuse_unfit_task(name: str, task: Task[Any, Any]) -> None:
    """Raise TaskUnfit for a task that cannot be run as a step, whatever it is called with."""
    if inspect.iscoroutinefunction(task.run):
        raise TaskUnfit(name, "an async function, which nobody awaits")
    if limit := getattr(task, "rate_limit", None):
        raise TaskUnfit(name, f"rate_limit={limit!r}")
    if (expires := getattr(task, "expires", None)) is not None:
        raise TaskUnfit(name, f"expires={expires!r}")
    own = {option: getattr(task, option, None) for option in OWN_OPTIONS}
    for option, why in faults_in(own):
        raise TaskUnfit(name, f"{option}={own[option]!r}", why)


def _refuse_misfits(engine: Engine, graph: Graph) -> None:
    seen: set[tuple[str, int, frozenset[str]]] = set()
    for node in graph.nodes:
        signature = node.signature
        keywords = frozenset(signature.get("kwargs") or ())
        call = (node.task, len(signature.get("args") or ()) + node.is_given_first, keywords)
        if call not in seen and (why := misfit(engine.app.tasks[node.task], *call[1:])):
            raise CallMisfits(node.slug, node.task, why)
        seen.add(call)


def misfit(task: Task[Any, Any] | None, positional: int, keywords: Iterable[str]) -> str | None:
    """Return why a task cannot be called so; None when it can, or when nobody knows.

    Args:
        task: The task, or None where it is not registered here.
        positional: How many positional arguments it is given.
        keywords: The names of the arguments that it is given by name.
    """
    if task is None or not getattr(task, "typing", True):  # `typing=False`: its author checks the arguments
        return None
    try:
        signature = inspect.signature(task.run)
    except (TypeError, ValueError):  # some callables written in C have no signature
        return None
    try:
        signature.bind(*[None] * positional, **dict.fromkeys(keywords))
    except TypeError as why:
        return str(why)
    return None


def insert(
    engine: Engine, request: Request, graph: Graph, operation_id: int | None = None, flow: WorkflowPolicy | None = None
) -> int:
    """Write the operation with its steps and edges, and publish what can start; returns its id.

    Args:
        engine: The engine.
        request: What was asked for.
        graph: The steps.
        operation_id: The id that was drawn for it, if one was.
        flow: The options of the flow that the workflow returned, if it returned one.

    Raises ReferenceUnknown, and the database's own integrity error when the idempotency key is taken.
    """
    now = clock.now()
    policy = engine.policies.of_workflow(request.workflow)
    policy = policy.joined(request.workflow, flow) if flow else policy
    marks = marks_of(engine, graph, graph.references(policy.reference))
    is_later = later(request.start_at) is not None
    with engine.database.write() as tx:
        row = _operation_row(request, graph, operation_id, now) | {"flow_options": flow and flow.told()}
        new_id = insert_operation(tx, row)
        wait = None if is_later else engine.republish_after
        rows = [_first_row(new_id, node, now, wait) | marks[node.number] for node in graph.nodes]
        insert_steps(tx, rows)
        insert_edges(tx, new_id, graph.edges())
        append_event(tx, new_id, at=now, who=request.requester, new=Completion.SCHEDULED)
    if is_later:
        engine.expect(request.start_at)
        return new_id  # the sweep of some worker starts it
    first = [FirstStep(node.number, node.signature) for node in graph.nodes if not node.upstream]
    engine.publisher.publish(new_id, [step for step in first if not_before(step.call, now) is None])
    engine.expect(earliest((step.call for step in first), now))
    return new_id


def marks_of(engine: Engine, graph: Graph, references: set[int]) -> list[dict[str, bool]]:
    """For each step, whether it may end with nobody asked or told, and whether its end decides the operation's."""
    return [
        {"plain": engine.policies.is_plain(node.signature), "reference": node.number in references}
        for node in graph.nodes
    ]


def _operation_row(request: Request, graph: Graph, operation_id: int | None, now: float) -> dict[str, Any]:
    row = {
        "requester_id": request.requester_id,
        "completion": Completion.SCHEDULED,
        "workflow": request.workflow,
        "arguments": _json(request.arguments),
        "version": 1,
        "steps_total": len(graph.nodes),
        "steps_left": len(graph.nodes),
        "steps_done": 0,
        "outcome": _json(graph.result),
        "created_at": now,
        "idempotency_key": request.idempotency_key,
        "request_digest": request.digest,
        "start_at": later(request.start_at),
        "due_at": later(request.start_at),
    }
    return row if operation_id is None else row | {"id": operation_id}


def _first_row(operation_id: int, node: Node, now: float, wait: float | None) -> dict[str, Any]:
    """The row of a step of a new operation: what waits for nothing is queued with it, or held until it may start."""
    row = step_row(operation_id, node)
    if node.upstream:
        return row
    if wait is None:
        return row | {"state": StepState.PAUSED}
    return row | {"state": StepState.QUEUED, "due_at": next_publish(node.signature, now, wait)}


def step_row(operation_id: int, node: Node) -> dict[str, Any]:
    """The row of a step that is pending."""
    point = node.pause
    return {
        "operation_id": operation_id,
        "number": node.number,
        "slug": node.slug,
        "state": StepState.PENDING,
        "claim": 0,
        "losses": 0,
        "runs": 0,
        "retries": 0,
        "waiting": len(node.upstream),
        "signature": _json(node.signature),
        "inputs": None if node.inputs is None else _json(node.inputs),
        "point": point and point.number,
        "clause": _json(point.clause) if point and point.clause else None,
        "callback": _json(point.callback) if point and point.callback else None,
        "passed": False,
        "due_at": None,
        "publishes": 0,
    }


_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
