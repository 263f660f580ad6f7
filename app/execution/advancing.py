"""`advance`: runs the next steps that a document tells of in the calling process; how they ended, a new one tells.

The engine is that of `flow.run`, over a table in memory: nothing is left of it but the new document.
"""

from __future__ import annotations

import math
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from app import clock
from app.domain.document import needed_results
from app.domain.document_check import check_tasks
from app.domain.document_reading import facts_of
from app.domain.hand_made import is_hand_made, laid_over, number_by_hand
from app.domain.states import FINAL, Completion, StepState
from app.domain.uncollected import uncollected
from app.errors import DocumentMalformed, DocumentUnwritable, OperationNotFound
from app.execution.documents import code_here, snapshot_of
from app.execution.exits import is_of_the_code
from app.execution.inline import inline
from app.execution.laying import columns_of, demand_reachable, fitted, lay, tell_of_pauses, with_clocks
from app.execution.policies import WorkflowPolicy
from app.execution.settling_surely import settle_surely
from app.execution.timing import later, not_before
from app.execution.values import stored
from app.store.operations import insert_operation
from app.store.step_queries import queued_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from app.domain.document import Head, StepFacts
    from app.domain.document_check import Document
    from app.domain.graph import Graph
    from app.domain.states import State
    from app.execution.documents import Snapshot
    from app.execution.engine import Engine
    from app.execution.inline import Inline, Outcome

    #: Compiles the graph of a workflow, by its name, arguments and operation's id.
    #: Returns with it the names of the reference steps.
    Compile = Callable[[Engine, str, dict[str, Any], int], tuple[Graph, tuple[str, ...]]]
    #: Is told how many steps have ended, of how many.
    Tell = Callable[[int, int], None]

_S = StepState
_UNBOUNDED = 1_000_000_000
#: Seconds between two tellings, at the least.
_TELLS = 0.2


@dataclass(frozen=True, slots=True)
class Budget:
    """How much one call may run: so many steps, for so many seconds; None for as much as there is.

    A step whose code runs when the seconds are over ends first, or stops at its cursor.
    """

    steps: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What this process knows of workflows: what their authors ask for, and how their graphs are compiled."""

    policies: Mapping[str, WorkflowPolicy]
    compile: Compile

    def policy_of(self, head: Head) -> WorkflowPolicy:
        """Return what the author of a document's operation asks for, as far as the code that is here now tells."""
        policy = self.policies.get(head.workflow, WorkflowPolicy())
        if policy.of_operation is None:
            return policy
        try:
            return policy.of_operation(head.operation_id, head.arguments)
        except BaseException as fault:  # the author's function, which may have changed since
            if not is_of_the_code(fault):
                raise
            return policy

    def flow_options(self, head: Head) -> str | None:
        """Return what the row of a document's operation has to say of the options of its flow."""
        policy = self.policy_of(head)
        return None if policy is self.policies.get(head.workflow) else policy.told()


def advance(
    document: Document,
    budget: Budget,
    known: Known,
    *,
    is_ours: bool,
    lenient: bool = False,
    tell: Tell | None = None,
) -> Document:
    """Run the next steps of an operation until the budget is spent; returns the document of its next slice.

    The document was read by `read_any`; one that has ended is returned as it is. What a hand-made one tells of steps
    that its workflow does not have is refused, or skipped with `lenient`. `is_ours` is that of `told_by`. `tell` is
    told every now and then how far that is.

    Raises TasksUnregistered, ResultsUnreachable, DocumentMalformed, SlugsUnfit, WorkflowUnknown, ArgumentsInvalid,
    CanvasRefused, and DocumentUnwritable where `read_any` would refuse the document of the next slice. No value of an
    author's leads to that, since each fits into a document; what a document that was made elsewhere says may.
    """
    if document.get("completion", Completion.PAUSED) != Completion.PAUSED:
        return document
    with inline() as engine:
        engine.engine.policies.learn(known.policies)
        head, steps = told_by(engine.engine, document, known, is_ours=is_ours, lenient=lenient)
        engine.engine.policies.learn({head.workflow: known.policy_of(head)})
        head = replace(head, slice=head.slice + 1)
        _lay(engine, head, with_clocks(engine.engine, head, steps, clock.now()))
        _run(engine, head.operation_id, budget, tell)
        return _document(engine, head.operation_id)


def run_graph(
    inline: Inline,
    name: str,
    graph: Graph,
    arguments: dict[str, Any],
    policy: WorkflowPolicy,
    states: Mapping[str, State],
) -> Outcome:
    """Run a graph in this process until it rests, some of its steps being in a state already.

    Args:
        inline: The engine in memory.
        name: The name of the workflow, or flow.
        graph: Its steps.
        arguments: What its handlers are shown.
        policy: What its author asks for.
        states: The states that steps are in already, by slug; empty for a run from the beginning.
    """
    if not states:
        return inline.run(name, graph, arguments, policy)
    engine = inline.engine
    engine.policies.learn({name: policy})
    known = [
        {"task": {"slug": slug}, "state": state.serialize() | {"result": stored(state.result)}}
        for slug, state in states.items()
    ]
    document = {"workflow": name, "arguments": arguments, "steps": known}
    head, steps = laid_over(document, graph, graph.references(policy.reference))
    head, steps = replace(head, created_at=clock.now()), fitted(engine, steps)
    _lay(inline, head, steps)
    if all(step.state in FINAL for step in steps):
        settle_surely(engine, head.operation_id, [])
    return inline.finish(head.operation_id)


@uncollected
def told_by(
    engine: Engine, document: Document, known: Known, *, is_ours: bool, lenient: bool = False
) -> tuple[Head, list[StepFacts]]:
    """What a document tells, checked against the code that is here; the graph of a hand-made one is compiled.

    One that is ours, which a key of this service has signed, may refer to results in any store.
    Raises what `advance` does.
    """
    if is_hand_made(document):
        head, steps = _laid_over(engine, document, known, lenient=lenient)
    else:
        check_tasks(document, engine.app.tasks.__contains__)
        head, steps = facts_of(document)
    steps = fitted(engine, steps)
    if head.completion is Completion.PAUSED and all(step.state in FINAL for step in steps):
        raise DocumentMalformed("has no step left that could run")
    demand_reachable(engine, steps, needed_results(head.outcome, steps), is_ours=is_ours)
    return head, steps


def _laid_over(engine: Engine, document: Document, known: Known, *, lenient: bool) -> tuple[Head, list[StepFacts]]:
    name = document["workflow"]
    graph, reference = known.compile(engine, name, document.get("arguments", {}), number_by_hand(document))
    references = graph.references(reference)
    head, steps = laid_over(document, graph, references, lenient=lenient)
    return replace(head, created_at=clock.now()), steps


@uncollected
def _lay(inline: Inline, head: Head, steps: list[StepFacts]) -> None:
    """Put the operation into the table as it stands once it was resumed, and what is ready into the row."""
    engine, now = inline.engine, clock.now()
    stands = Completion.SCHEDULED if head.started_at is None else Completion.IN_PROGRESS
    own = {"id": head.operation_id, "requester_id": inline.user().id, "completion": stands, "version": 1}
    with engine.database.write() as tx:
        insert_operation(tx, own | columns_of(head, steps))
        released = [_released(head, step, now + engine.republish_after, now) for step in steps]
        lay(tx, head.operation_id, released, head.origin)
        tell_of_pauses(tx, head.operation_id, steps, now)
        ready = queued_steps(tx, head.operation_id)
    if later(head.start_at) is None:
        inline.row.publish(head.operation_id, [step for step in ready if not_before(step.call, now) is None])


def _released(head: Head, step: StepFacts, again_at: float, now: float) -> StepFacts:
    """The step as a resume leaves it; the point before it is asked no more, unless nobody has paused the operation."""
    if step.state is not _S.PAUSED:
        return step
    is_passed = step.passed or not head.spent
    due_at = later(head.start_at) or not_before(step.signature, now) or again_at
    return replace(step, state=_S.QUEUED, passed=is_passed, due_at=due_at)


def _run(inline: Inline, operation_id: int, budget: Budget, tell: Tell | None) -> None:
    """Run until the operation rests, or the budget is spent: then nothing of it runs, since all ran in this thread."""
    left = _UNBOUNDED if budget.steps is None else budget.steps
    until = math.inf if budget.seconds is None else clock.monotonic() + budget.seconds
    longest = _TELLS if tell else _UNBOUNDED
    with _leaving(inline.engine, budget.seconds):
        while not inline.rests(operation_id) and left > 0 and (rest := until - clock.monotonic()) > 0:
            left -= inline.go_on(operation_id, steps=left, seconds=min(rest, longest))
            if tell:
                tell(*inline.far(operation_id))


@contextmanager
def _leaving(engine: Engine, seconds: float | None) -> Iterator[None]:
    """Let a step stop at its cursor when the seconds are over, as where a worker leaves."""
    timer = None if seconds is None else threading.Timer(seconds, engine.leaving.set)
    if timer:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        if timer:
            timer.cancel()


def _document(inline: Inline, operation_id: int) -> Document:
    """Return the document of the next slice. Raises DocumentUnwritable."""
    try:
        return _snapshot(inline, operation_id).readable_document()
    except DocumentMalformed as malformed:
        raise DocumentUnwritable(malformed.why) from None


@uncollected
def _snapshot(inline: Inline, operation_id: int) -> Snapshot:
    with inline.engine.database.read() as tx:
        snapshot = snapshot_of(tx, operation_id)
    if snapshot is None:
        raise OperationNotFound(operation_id)
    if all(step.state in FINAL for step in snapshot.steps):
        return snapshot
    code = code_here(inline.engine, snapshot)
    is_spent = snapshot.operation.completion is not Completion.PAUSED
    return replace(snapshot, paused_at=clock.now(), code=code, spent=is_spent)
