"""Running an operation in the calling process, with no broker and no worker: the same engine over a table in memory.

Every rule is the engine's own. Only the dispatcher differs: what is published is put into a row and run from there, and
what is due later is waited for.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from celery import Celery, current_app

from app import clock
from app.config import read_settings, sqlite_url
from app.domain.states import ENDED, Completion
from app.errors import OperationNotFound, Stalled
from app.execution import pause, slices, starting, tasks
from app.execution.engine import Engine
from app.execution.notices import Notices
from app.execution.policies import Policies, WorkflowPolicy
from app.execution.republishing import publish_due
from app.execution.starting import Request
from app.execution.step_task import Step
from app.execution.tallying import Tallies
from app.execution.telling import tell
from app.results.stores import store_at
from app.store.database import Database
from app.store.due import next_due
from app.store.growing import growths_of
from app.store.operations import Operation, completion_of, find_operation
from app.store.step_queries import StepRow, list_steps
from app.store.tables import create_tables
from app.store.users import User, add_user

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from app.domain.graph import Graph
    from app.domain.growth import Growth
    from app.execution.publishing import Publisher, Ready

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
            tallies=Tallies(self._database),
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
        return self.finish(starting.insert(self.engine, request, graph))

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
            return slices.run_slice(engine, *self.row.waiting.popleft())
        with self._database.glance() as tx:
            due = next_due(tx)
        if due is None:
            raise Stalled(operation_id)
        time.sleep(min(max(0.0, due - clock.now()), seconds, _LONGEST))
        publish_due(self.engine)
        return 0

    def close(self) -> None:
        """Forget all."""
        self.engine.tallies.forget()
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
