"""The service as it runs on one machine: its own database, a worker, a web server, and the commands in this process."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import text

from app.supervisor.supervision import web_command, worker_command
from bench.http import TOKEN, answers
from bench.programs import Program, until
from pausable import load_workflows
from pausable.config import Settings
from pausable.db.migrations import upgrade
from pausable.db.users import first_user, oldest_user
from pausable.engine.celery_app import make_celery
from pausable.model.states import ENDED, Completion
from pausable.service.operations import Commands

if TYPE_CHECKING:
    from pathlib import Path

    from pausable.db.users import User
    from pausable.service.operations import View

_WARM = 40
_LEFT = text("SELECT count(*) FROM operations WHERE id BETWEEN :first AND :last AND completion <> :ended")


class Service:
    """One service with a folder of its own; what it has started ends when the block is left."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        upgrade(settings)
        first_user(settings)
        self.celery = make_celery(settings)
        workflows = load_workflows(settings.workflows)
        self.celery.loader.import_default_modules()
        self.celery.finalize()
        self.celery.engine.policies.learn({one.name: one.policy for one in workflows}, workflows.everywhere)
        self.database = self.celery.engine.database
        self.commands = Commands(self.celery.engine, workflows)
        self.journal = settings.data_dir / "journal"
        self.programs: dict[str, Program] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for program in reversed(self.programs.values()):
            program.end()
        self.database.close()

    @property
    def user(self) -> User:
        """The first user, an admin."""
        with self.database.glance() as tx:
            user = oldest_user(tx)
        assert user is not None
        return user

    def start_worker(self, name: str = "worker") -> Program:
        """Start a worker as `make run` does, and wait until it has run something, or the worker before it has."""
        worker = self._start(name, worker_command(self.settings))
        self.chain_rate(_WARM)
        return worker

    def start_web(self) -> Program:
        """Start the web server as `make run` does, and wait until it answers."""
        web = self._start("web", web_command(self.settings))
        web.await_that(lambda: answers(self.settings.port), "the web server answers")
        return web

    def forget(self, program: Program) -> None:
        """End a program whatever state it is in, and miss it no more."""
        self.programs = {name: one for name, one in self.programs.items() if one is not program}
        if program.runs:
            program.signal(signal.SIGCONT, all_of_it=True)
        program.end()

    def waiting(self) -> int:
        """How many messages wait in the queue of most steps."""
        return self.celery.engine.publisher.depth(self.celery.conf.task_default_queue) or 0

    def chain_rate(self, operations: int, workflow: str = "bench-chain", **arguments: Any) -> float:
        """Operations of a workflow that succeeds, per second, from the first call to the last end."""
        begun = time.perf_counter()
        ids = self.start_many(operations, workflow, **arguments)
        self.await_all(ids)
        return operations / (time.perf_counter() - begun)

    def start_many(self, operations: int, workflow: str = "bench-chain", **arguments: Any) -> list[int]:
        """Start so many operations; returns their ids."""
        user, start = self.user, self.commands.start_operation
        return [start(user, workflow, **arguments) for _ in range(operations)]

    def await_all(self, ids: list[int], completion: Completion = Completion.COMPLETED, *, pause: float = 0.01) -> None:
        """Wait until all these operations, which are all there are between the first and the last, stand so."""
        between = {"first": ids[0], "last": ids[-1], "ended": completion}
        until(lambda: self._left(between) == 0, f"all operations are {completion}", pause=pause)

    def latency(self) -> float:
        """Milliseconds from the call that starts one chain of five steps to its result."""
        user = self.user
        begun = time.perf_counter()
        operation_id = self.commands.start_operation(user, "bench-chain")
        view = until(lambda: self._ended(user, operation_id), "the operation has ended", pause=0.0003)
        taken = time.perf_counter() - begun
        assert view.operation.result == "1", "the service gave a wrong result"
        return 1000 * taken

    def completion_of(self, operation_id: int) -> Completion:
        """Where an operation stands."""
        return self.commands.show(self.user, operation_id).operation.completion

    def _ended(self, user: User, operation_id: int) -> View | None:
        view = self.commands.show(user, operation_id)
        return view if view.operation.completion in ENDED else None

    def _left(self, between: dict[str, Any]) -> int:
        for program in self.programs.values():
            program.check()
        with self.database.glance() as tx:
            return int(tx.execute(_LEFT, between).scalar_one())

    def _start(self, name: str, command: tuple[str, ...]) -> Program:
        self.programs[name] = Program(command, self._environ(), self.settings.data_dir, name)
        return self.programs[name]

    def _environ(self) -> dict[str, str]:
        settings = self.settings
        given = {name: getattr(settings, name) for name in settings.model_fields_set}
        own = {name.upper(): ",".join(one) if isinstance(one, tuple) else str(one) for name, one in given.items()}
        own |= {"OPERATIONS_TOKEN": TOKEN}
        return clean_environ() | own | {"BENCH_JOURNAL": str(self.journal)}


def settings_of(folder: Path, broker_url: str, port: int, **others: Any) -> Settings:
    """Settings of a service that keeps everything in `folder`; SQLite's commits are durable."""
    return Settings(
        data_dir=folder,
        broker_url=broker_url,
        port=port,
        workflows=("bench.flows",),
        operations_token=TOKEN,
        synchronous="FULL",
        log_level="WARNING",
        **others,
    )


def clean_environ() -> dict[str, str]:
    """This process's environment without any setting of the service, and with its modules to be found."""
    kept = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    return kept | {"PYTHONPATH": os.pathsep.join([os.getcwd(), *filter(None, [os.environ.get("PYTHONPATH")])])}
