"""The flow that authors use: the graph of `pausable.canvas.flow`, plus running it in this process and drawing it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pausable.canvas.compiler import compile_flow
from pausable.canvas.flow import Flow as Graph
from pausable.canvas.flow import Node
from pausable.engine.announce import operation_state
from pausable.engine.local import inline, own_app, run_graph
from pausable.engine.outcome import SUCCEEDED, shown, told
from pausable.engine.start import demand_runnable
from pausable.errors import FlowMalformed
from pausable.model.graph import gather, numbers_in, put_in_place, value_of
from pausable.model.picture import Drawn, draw
from pausable.model.states import State, StepState, Success
from pausable.workflows.step import workflow_policy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pausable.db.steps import StepRow
    from pausable.model.graph import Graph as StepGraph
    from pausable.model.graph import Inputs


class Flow(Graph):
    """A graph of steps; see `add`, `map` and `edge`. It accepts the options of a workflow for its runs."""

    def __init__(self, name: str = "flow", **options: Any) -> None:
        super().__init__(name)
        self.policy = workflow_policy(options, "a flow")

    def run(
        self,
        *,
        parameters: Mapping[str, Any] | None = None,
        task_states: Mapping[Node, State] | None = None,
        **unknown: Any,
    ) -> State:
        """Run the flow in this process, where breakpoints work, until it has ended or is paused.

        Args:
            parameters: What its handlers see as the arguments of the operation.
            task_states: Known states of nodes, as in Prefect 1: a finished node is not run, and passes on the result of
                its state. `flow.run(task_states=earlier.result)` continues an earlier run.
            **unknown: No other arguments are accepted.

        Returns:
            The state of the flow, whose `result` maps each node to the node's own state.

        Raises:
            CanvasRefused: The flow cannot be run, or a state is given for something that is not one of its nodes.
            TypeError: Another keyword argument is given: a flow has no arguments, only its calls have.
        """
        if unknown:
            raise TypeError(
                f"flow.run has no argument {min(unknown)!r}: pass it to the calls of the nodes; "
                f"what handlers are to see is given as parameters={{{min(unknown)!r}: …}}"
            )
        with inline() as engine:
            graph, ends = compile_flow(self, pause_every=0, app=engine.app)
            demand_runnable(engine.engine, graph)
            states = self._states_of_steps(task_states or {}, graph, ends)
            outcome = run_graph(engine, self.name, graph, dict(parameters or {}), self.policy, states)
        state = operation_state(outcome.operation) or State()
        rows = {row.number: row for row in outcome.steps}
        values = {
            node: put_in_place(inputs, lambda one: value_of(one, outcome.growths)) for node, inputs in ends.items()
        }
        state.result = Results({node: _state_of(values[node], rows) for node in self.nodes})
        return state

    def _states_of_steps(
        self, given: Mapping[Node, State], graph: StepGraph, ends: Mapping[Node, Inputs]
    ) -> dict[str, State]:
        """Return the given states of nodes by the slugs of their steps. Raise FlowMalformed for any other key."""
        states: dict[str, State] = {}
        for node, state in given.items():
            end, is_state = ends.get(node), isinstance(state, State)
            if not isinstance(end, int) or not is_state:
                raise FlowMalformed(
                    self.name, f"task_states holds {node!r}: {state!r}, which is not one of its task calls"
                )
            states[graph.nodes[end].slug] = state
        return states

    def visualize(self, state: State | None = None, *, file: str | Path | None = None) -> str:
        """Return the flow as SVG, coloured by a state that `run` returned; write it into `file` if given."""
        graph, ends = compile_flow(self, pause_every=0, app=own_app())
        known = state.result if state is not None and isinstance(state.result, Results) else {}
        kinds = {
            number: StepState(known[node].name)
            for node, inputs in ends.items()
            for number in numbers_in(inputs)
            if node in known
        }
        drawn = [Drawn(one.number, one.slug, one.task.rpartition(".")[2], kinds.get(one.number)) for one in graph.nodes]
        picture = draw(self.name, drawn, graph.edges())
        if file is not None:
            Path(file).write_text(picture, encoding="utf-8")
        return picture


class Results(dict[Node, State]):
    """The state of each node."""

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{node!r}: {state!r}" for node, state in self.items()) + "}"


def _state_of(inputs: Inputs, rows: Mapping[int, StepRow]) -> State:
    """Return the state of a node; for a canvas with several final steps, the first unsuccessful one, or all."""
    states = {number: _state(rows[number]) for number in numbers_in(inputs)}
    for state in states.values():
        if not state.is_successful():
            return state
    if isinstance(inputs, int):
        return states[inputs]
    return Success(SUCCEEDED, gather(inputs, {number: state.result for number, state in states.items()}))


def _state(row: StepRow) -> State:
    state = told(row.state, row.message, row.error, shown(row.result))
    if row.state is StepState.SUCCESS:
        state.message = state.message or SUCCEEDED
    return state
