"""The whole engine on a real stack: a migrated SQLite file, a database of the broker, and real workers where wanted."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import redis
from celery import _state

from pausable.canvas.values import decode
from pausable.config import Settings
from pausable.db.migrations import upgrade
from pausable.db.steps import list_steps
from pausable.db.users import User, add_user, user_named
from pausable.db.workers import list_workers
from pausable.engine import celery_app
from pausable.engine.celery_app import OperationsCelery, make_celery
from pausable.engine.publish import RUN_SLICE
from pausable.engine.task import seed_of
from pausable.model.identity import ids_of
from pausable.model.states import ENDED, Completion, StepState
from pausable.service.operations import Commands
from pausable.workflows.registry import load_workflows
from tests.programs import end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy import Connection

    from pausable.db.operations import Operation
    from pausable.db.steps import StepRow
    from pausable.db.workers import Worker
    from pausable.engine.engine import Engine

DEADLINE = 60.0
QUEUE = "operations"
ROOT = Path(__file__).parents[2]
FLOWS = tuple(
    f"tests.execution.{name}"
    for name in (
        "flows",
        "failing_flows",
        "clause_flows",
        "apart_flows",
        "telling_flows",
        "handling_flows",
        "deciding_flows",
        "retry_flows",
        "control_flows",
        "cursor_flows",
        "sibling_flows",
        "moving_flows",
        "option_flows",
        "hostile_flows",
        "request_flows",
        "behaviour_flows",
        "plain_flows",
    )
)


@dataclass
class Service:
    """One installation of the service and its user Ada, who may do anything."""

    settings: Settings
    celery: OperationsCelery
    commands: Commands
    ada: User
    queue: redis.Redis
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def engine(self) -> Engine:
        return self.celery.engine

    def start(self, workflow: str, **arguments: Any) -> int:
        return self.commands.start_operation(self.ada, workflow, **arguments)

    def run(self, workflow: str, **arguments: Any) -> Operation:
        """Start a workflow and wait until it has ended."""
        return self.ended(self.start(workflow, **arguments))

    def ended(self, operation_id: int) -> Operation:
        return self.wait_until(operation_id, *ENDED)

    def pause(self, operation_id: int, reason: str | None = None) -> bool:
        return self.commands.pause(self.ada, operation_id, reason=reason)[1]

    def resume(self, operation_id: int) -> bool:
        return self.commands.resume(self.ada, operation_id)[1]

    def cancel(self, operation_id: int) -> bool:
        return self.commands.cancel(self.ada, operation_id)[1]

    def retry(self, operation_id: int, **options: Any) -> None:
        self.commands.retry(self.ada, operation_id, **options)

    def show(self, operation_id: int) -> Operation:
        return self.commands.show(self.ada, operation_id).operation

    def completion(self, operation_id: int) -> Completion:
        return self.show(operation_id).completion

    def error(self, operation_id: int) -> dict[str, str]:
        """The error of an operation that has failed."""
        assert self.ended(operation_id).completion is Completion.FAILED, self._told(operation_id)
        error: dict[str, str] = decode(self.show(operation_id).error)
        return error

    def steps(self, operation_id: int) -> dict[str, StepRow]:
        with self.engine.database.glance() as tx:
            return {step.slug: step for step in list_steps(tx, operation_id)}

    def states(self, operation_id: int) -> dict[str, StepState]:
        return {slug: step.state for slug, step in self.steps(operation_id).items()}

    def task_id(self, operation_id: int, slug: str) -> str:
        """The id that the step's code finds in its request."""
        call = json.loads(self.steps(operation_id)[slug].signature)
        return ids_of(seed_of(self.engine.database, operation_id), slug, call).own

    def log(self, operation_id: int, slug: str) -> str:
        """What the step's code has logged."""
        return "".join(self.commands.step_log(self.ada, operation_id, slug))

    def moves(self, operation_id: int) -> list[str]:
        """Where the operation has stood, one after the other."""
        return [event.new for event in self.commands.events(self.ada, operation_id) if event.step is None]

    def document(self, operation_id: int) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.commands.document(self.ada, operation_id))
        return document

    def wait_until(self, operation_id: int, *completions: Completion) -> Operation:
        """Wait until the operation stands at one of these."""
        wait_for(lambda: self.completion(operation_id) in completions, lambda: self._told(operation_id))
        return self.show(operation_id)

    def wait_for_step(self, operation_id: int, slug: str, state: StepState) -> StepRow:
        """Wait until the step stands so."""
        wait_for(lambda: self.states(operation_id)[slug] is state, lambda: self._told(operation_id))
        return self.steps(operation_id)[slug]

    def path(self) -> str:
        """A file of nobody else's."""
        return str(self.settings.data_dir / f"file-{next(self._numbers)}")

    def messages(self, queue: str = QUEUE) -> int:
        """How many messages wait at the broker."""
        return int(self.queue.llen(queue))

    def sent(self) -> int:
        """How many messages were ever put into a queue of this broker."""
        stats: dict[str, Any] = self.queue.info("commandstats")
        return int(stats.get("cmdstat_lpush", {"calls": 0})["calls"])

    def take(self, queue: str = QUEUE) -> list[Any]:
        """Take the oldest message from the broker; the arguments that it holds."""
        return self._taken(queue)[0]

    def _taken(self, queue: str) -> tuple[list[Any], dict[str, Any]]:
        message: Any = self.queue.rpop(queue)
        assert message, "the broker holds no message"
        args, kwargs, _ = json.loads(base64.b64decode(json.loads(message)["body"]))
        return args, kwargs

    def deliver(self, queue: str = QUEUE) -> None:
        """Deliver the oldest message in this process, as a worker would."""
        args, kwargs = self._taken(queue)
        self.deliver_step(*args, **kwargs)

    def deliver_step(self, operation_id: int, number: int, **options: Any) -> None:
        """Deliver the message of this step, whether or not there is one."""
        self.celery.tasks[RUN_SLICE].apply((operation_id, number), options, throw=True)

    def deliver_all(self) -> int:
        """Deliver until the broker holds nothing more; returns how many messages there were."""
        for number in count():
            if not self.messages():
                return number
            self.deliver()
        raise AssertionError

    def workers(self) -> list[Worker]:
        """The workers that were ever entered."""
        with self.engine.database.glance() as tx:
            return list_workers(tx)

    def change(self, statement: str, *parameters: Any) -> None:
        """Change the table behind the engine's back; parameters stand as `?`."""
        with self.engine.database.write() as tx:
            self._execute(tx, statement, parameters)

    def read(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """All rows that a statement finds; parameters stand as `?`."""
        with self.engine.database.read() as tx:
            rows: list[tuple[Any, ...]] = self._execute(tx, statement, parameters).fetchall()
        return rows

    def _execute(self, tx: Connection, statement: str, parameters: tuple[Any, ...]) -> Any:
        driver: Any = tx.connection.driver_connection
        return driver.execute(statement if self.engine.database.is_sqlite else statement.replace("?", "%s"), parameters)

    @contextmanager
    def at_work(self) -> Iterator[Service]:
        """Make this service's app the one that threads and signatures belong to."""
        state: Any = _state
        before, default = state.get_current_app(), state.default_app
        self.celery.set_current()
        self.celery.set_default()
        try:
            yield self
        finally:
            before.set_current()
            state.set_default_app(default)

    @contextmanager
    def working(self, processes: int = 2) -> Iterator[subprocess.Popen[bytes]]:
        """Run a real worker."""
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
        options = ["-c", str(processes), "-Q", f"{QUEUE},own", *quiet]
        command = [sys.executable, "-m", "celery", "-A", "worker:celery", "worker", *options]
        with (self.settings.data_dir / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                command, env=self.environment(), cwd=self.settings.data_dir, stdout=log, stderr=log
            )
        try:
            yield worker
        finally:
            end(worker)

    def close(self) -> None:
        self.engine.metrics.flush()
        self.engine.database.close()
        put_back(self.settings, self.celery)
        self.queue.close()

    def environment(self) -> dict[str, str]:
        """The environment of a worker of this service."""
        given = self.settings.model_dump(mode="json", exclude_none=True, exclude={"operations_token"})
        return {**os.environ, **variables(given), "PYTHONPATH": str(ROOT)}

    def _told(self, operation_id: int) -> str:
        events = self.commands.events(self.ada, operation_id)
        return "\n".join(map(str, [self.show(operation_id), self.states(operation_id), *events]))


#: Celery apps of services that were closed, by what they were made for.
_apps: dict[Any, list[OperationsCelery]] = defaultdict(list)


def celery_for(settings: Settings) -> OperationsCelery:
    """A Celery app with an engine for these settings.

    Celery makes a class of each task of each app, which takes longer than most tests; so an app is used again, with an
    engine of its own, when the service that had it is closed.
    """
    if not (kept := _apps[_purpose_of(settings)]):
        return make_celery(settings)
    celery = kept.pop()
    celery.set_current()
    with patch.object(celery_app, "OperationsCelery", return_value=celery):
        return make_celery(settings)


def put_back(settings: Settings, celery: OperationsCelery) -> None:
    """Keep an app for another service."""
    _apps[_purpose_of(settings)].append(celery)


def _purpose_of(settings: Settings) -> Any:
    return settings.broker_url, tuple(settings.workflows)


def make_service(
    folder: Path, broker_url: str, flows: tuple[str, ...] = FLOWS, *, is_migrated: bool = False, **settings: Any
) -> Service:
    """A service of its own in `folder`, at its database of the broker."""
    made = Settings(data_dir=folder, input_dir=folder, workflows=flows, broker_url=broker_url, **settings)
    if not is_migrated:
        upgrade(made)
    celery = celery_for(made)
    workflows = load_workflows(made.workflows)
    celery.loader.import_default_modules()
    celery.finalize()
    celery.engine.policies.learn({one.name: one.policy for one in workflows}, workflows.everywhere)
    with celery.engine.database.write() as tx:
        ada = user_named(tx, "ada") or add_user(tx, "ada", "admin", time.time())
    return Service(
        made,
        celery,
        Commands(celery.engine, workflows),
        ada,
        redis.Redis.from_url(re.sub("^(sentinel|amqp)", "redis", broker_url)),  # of RabbitMQ it can ask nothing
    )


def variables(settings: Mapping[str, Any]) -> dict[str, str]:
    """The settings as the environment has them."""
    return {
        name.upper(): ",".join(value) if isinstance(value, list) else str(value) for name, value in settings.items()
    }


def wait_for(condition: Callable[[], bool], told: Callable[[], str] = lambda: "it never came") -> None:
    """Wait until the condition holds."""
    until = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < until, told()
        time.sleep(0.002)
