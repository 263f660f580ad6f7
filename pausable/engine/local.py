"""Run an operation in the calling process, without a broker or a worker: whole, or slice by slice from its document."""

from __future__ import annotations

import math
import sys
import tempfile
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from celery import Celery, current_app

from pausable import clock
from pausable.canvas import pause
from pausable.canvas.task import Step, is_author_error
from pausable.canvas.values import stored
from pausable.config import read_settings, sqlite_url
from pausable.db.claims import next_due
from pausable.db.database import Database
from pausable.db.operations import Operation, completion_of, find_operation, insert_operation
from pausable.db.steps import StepRow, list_steps, queued_steps
from pausable.db.tables import create_tables
from pausable.db.transitions import growths_of
from pausable.db.users import User, add_user
from pausable.documents.check import check_tasks, is_hand_made, laid_over, number_by_hand
from pausable.documents.model import facts_of, needed_results
from pausable.engine import runner, start, tasks
from pausable.engine.ask import tell
from pausable.engine.dispatch import publish_due
from pausable.engine.documents import (
    code_here,
    columns_of,
    demand_reachable,
    fitted,
    insert_graph,
    snapshot_of,
    tell_of_pauses,
    with_clocks,
)
from pausable.engine.engine import Engine
from pausable.engine.metrics import Metrics
from pausable.engine.notices import Notices
from pausable.engine.policies import Policies, WorkflowPolicy
from pausable.engine.publish import later, not_before
from pausable.engine.settle import settle_and_confirm
from pausable.engine.start import Request
from pausable.errors import DocumentMalformed, DocumentUnwritable, OperationNotFound, Stalled
from pausable.model.states import ENDED, FINAL, Completion, StepState
from pausable.processes import uncollected
from pausable.results.remote import store_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pausable.documents.model import Document, Head, StepFacts
    from pausable.engine.documents import Snapshot
    from pausable.engine.publish import Publisher, Ready
    from pausable.model.graph import Graph, Growth
    from pausable.model.states import State

#: The tasks that a pause calls are registered with every app from here on.
_CALLED: Final = (pause, tasks)
#: A folder in memory, where the system has one.
_MEMORY: Final = Path("/dev/shm")  # noqa: S108
#: Steps in one slice, and seconds: without a broker there is nobody to hand over to.
_UNBOUNDED: Final = 1_000_000
#: Seconds that it sleeps at a time: the system refuses some hundred years.
_LONGEST: Final = 86400.0
_NAME: Final = "inline"


class Row:
    """The dispatcher: what is ready waits in a row, in the order in which it became so."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, int]] = deque()

    def publish(self, operation_id: int, steps: Iterable[Ready]) -> None:
        """Let these steps run when their turn comes."""
        self.waiting.extend((operation_id, step.number) for step in steps)

    publish_all = publish

    def wake(self) -> None:
        """Nobody sleeps here but the thread that runs everything."""

    def own_options(self, _step: Ready) -> dict[str, Any]:
        """None: queues and priorities mean nothing here, and no process may be killed."""
        return {}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an operation stands that was run here, its steps, and what some of these have put in their own places."""

    operation: Operation
    steps: tuple[StepRow, ...]
    growths: dict[int, Growth]


def own_app() -> Celery[Any]:
    """A Celery app that knows every task of this process, and is nobody's current one."""
    # Tasks of a script are named after the app that is current when they are: its name makes theirs the same here.
    app: Celery[Any] = Celery(current_app.main, broker="memory://", task_cls=Step, set_as_current=False, fixups=[])
    app.finalize()
    for name, task in current_app.tasks.items():
        app.tasks.setdefault(name, task)  # those that an author has bound to an app of their own
    return app


class Inline:
    """An engine over a table of its own, in memory, that ends with the block."""

    def __init__(self, folder: Path) -> None:
        self.app = own_app()
        self.row = Row()
        self._database = Database(sqlite_url(folder / "run.db"), synchronous="NORMAL")
        self.engine = self._engine(folder)
        vars(self.app)["engine"] = self.engine
        with self._database.write() as tx:
            create_tables(tx)

    def _engine(self, folder: Path) -> Engine:
        policies = Policies(self.app)
        settings, _ = read_settings()
        return Engine(
            app=self.app,
            database=self._database,
            publisher=cast("Publisher", self.row),
            workflow_store=folder,
            slice_seconds=_UNBOUNDED,
            slice_steps=_UNBOUNDED,
            lease=_UNBOUNDED,
            max_losses=_UNBOUNDED,
            republish_after=_UNBOUNDED,
            grace=0.0,
            metrics=Metrics(self._database),
            policies=policies,
            notices=Notices((), policies, tell),
            results=store_at(settings.results),
            checkpointing=settings.checkpointing,
            large=sys.maxsize,  # the table is in memory, and gone with it
        )

    def run(self, name: str, graph: Graph, arguments: dict[str, Any], policy: WorkflowPolicy) -> Outcome:
        """Run an operation until it rests: it has ended, or is paused.

        Raises Stalled when nothing is left that could run, which no operation should come to.
        """
        self.engine.policies.learn({name: policy})
        user = self.user()
        request = Request(user.id, user.name, name, arguments)
        return self.finish(start.insert(self.engine, request, graph))

    def finish(self, operation_id: int) -> Outcome:
        """Run an operation that is in the table until it rests. Raises Stalled."""
        while not self.rests(operation_id):
            self.go_on(operation_id)
        with self._database.read() as tx:
            operation, steps = find_operation(tx, operation_id), list_steps(tx, operation_id)
            growths = growths_of(tx, operation_id)
        if operation is None:
            raise OperationNotFound(operation_id)
        return Outcome(operation, tuple(steps), growths)

    def user(self) -> User:
        """Somebody whom an operation may belong to."""
        with self._database.write() as tx:
            return add_user(tx, _NAME, "admin", clock.now())

    def rests(self, operation_id: int) -> bool:
        """Whether the operation has ended, or is paused."""
        with self._database.glance() as tx:
            return completion_of(tx, operation_id) in ENDED | {Completion.PAUSED}

    def far(self, operation_id: int) -> tuple[int, int]:
        """How many of its steps have ended, of how many."""
        with self._database.glance() as tx:
            operation = find_operation(tx, operation_id)
        return (operation.steps_done, operation.steps_total) if operation else (0, 0)

    def go_on(self, operation_id: int, *, steps: int = _UNBOUNDED, seconds: float = _UNBOUNDED) -> int:
        """Run what is ready next, or wait so long for what is due later; returns how many steps that were.

        Raises Stalled when nothing is left that could run.
        """
        if self.row.waiting:
            engine = replace(self.engine, slice_steps=steps, slice_seconds=seconds)
            return runner.run_slice(engine, *self.row.waiting.popleft())
        with self._database.glance() as tx:
            due = next_due(tx)
        if due is None:
            raise Stalled(operation_id)
        time.sleep(min(max(0.0, due - clock.now()), seconds, _LONGEST))
        publish_due(self.engine)
        return 0

    def close(self) -> None:
        """Forget all."""
        self.engine.metrics.forget()
        self._database.close()


@contextmanager
def inline() -> Iterator[Inline]:
    """An engine in this process alone; all that it kept is gone when the block is left."""
    place = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="operations-", dir=place, ignore_cleanup_errors=True) as folder:
        engine = Inline(Path(folder))
        try:
            yield engine
        finally:
            engine.close()


if TYPE_CHECKING:
    #: Compiles the graph of a workflow, by its name, arguments and operation's id.
    #: Returns with it the names of the reference steps.
    Compile = Callable[[Engine, str, dict[str, Any], int], tuple[Graph, tuple[str, ...]]]
    #: Is told how many steps have ended, of how many.
    Tell = Callable[[int, int], None]

_S = StepState
_NO_LIMIT = 1_000_000_000
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
            if not is_author_error(fault):
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
        settle_and_confirm(engine, head.operation_id, [])
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
        insert_graph(tx, head.operation_id, released, head.origin)
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
    left = _NO_LIMIT if budget.steps is None else budget.steps
    until = math.inf if budget.seconds is None else clock.monotonic() + budget.seconds
    longest = _TELLS if tell else _NO_LIMIT
    with _leaving(inline.engine, budget.seconds):
        while not inline.rests(operation_id) and left > 0 and (rest := until - clock.monotonic()) > 0:
            left -= inline.go_on(operation_id, steps=left, seconds=min(rest, longest))
            if tell:
                tell(*inline.far(operation_id))


@contextmanager
def _leaving(engine: Engine, seconds: float | None) -> Iterator[None]:
    """Let a step stop at its cursor when the seconds are over, as where a worker leaves."""
    timer = None if seconds is None else threading.Timer(seconds, engine.shutdown.set)
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
