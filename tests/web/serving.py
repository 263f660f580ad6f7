"""An installation of the service as the web serves it, with a worker or with none."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis
from celery import _state
from pydantic import SecretStr

from app import create_app
from pausable.config import Settings
from pausable.db.users import Role, add_token, add_user, digest_of, prefix_of
from pausable.engine.claim import claim
from tests.execution.service import variables
from tests.programs import end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from pausable.engine.celery_app import OperationsCelery
    from pausable.service.operations import Commands

DEADLINE = 60.0
ROOT = Path(__file__).parents[2]
FLOWS = "tests.web.flows"
PEOPLE: dict[str, Role] = {"ada": "admin", "bob": "user", "eve": "user"}


@dataclass
class Served:
    """The application, and behind it a database and a broker of its own."""

    app: Flask
    settings: Settings
    queue: redis.Redis

    @property
    def commands(self) -> Commands:
        commands: Commands = self.app.extensions["commands"]
        return commands

    @property
    def celery(self) -> OperationsCelery:
        celery: OperationsCelery = self.app.extensions["celery"]
        return celery

    def claim(self, address: str) -> None:
        """Claim the operation's first step and never end it, as a worker that is at it for long."""
        assert claim(self.commands.engine, int(address.rpartition("/")[2]), 0)

    def deliver(self) -> None:
        """Deliver the oldest message in this process, as a worker would."""
        message: Any = self.queue.rpop("operations")
        arguments = json.loads(base64.b64decode(json.loads(message)["body"]))[0]
        self.celery.tasks["operations.run_slice"].apply(arguments, throw=True)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Run a real worker of one process."""
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
        with self.running("celery", "-A", "worker:celery", "worker", "--concurrency", "1", *quiet):
            yield

    @contextmanager
    def running(self, *arguments: str) -> Iterator[int]:
        """Run a program of the service's own Python, with this installation's settings; gives its process id."""
        with (self.settings.data_dir / f"{arguments[0]}.log").open("ab") as log:
            command = [sys.executable, "-m", *arguments]
            program = subprocess.Popen(command, env=self._environ(), cwd=self.settings.data_dir, stdout=log, stderr=log)
        try:
            yield program.pid
        finally:
            end(program)

    def told(self) -> str:
        """What the programs have told."""
        return "\n".join(log.read_text() for log in self.settings.data_dir.glob("*.log"))

    def _environ(self) -> dict[str, str]:
        given = self.settings.model_dump(mode="json", exclude_none=True)
        kept = {name: value.get_secret_value() for name, value in self.settings if isinstance(value, SecretStr)}
        return {**os.environ, **variables(given | kept), "PYTHONPATH": str(ROOT)}


@contextmanager
def serving(folder: Path, broker_url: str, flows: str = FLOWS, **settings: Any) -> Iterator[Served]:
    """An installation in `folder`, whose database is migrated already, with three people in it."""
    made = Settings(data_dir=folder, input_dir=folder, workflows=(flows,), broker_url=broker_url, **settings)
    before, default = _state.get_current_app(), vars(_state)["default_app"]
    app = create_app(made)
    served = Served(app, made, redis.Redis.from_url(broker_url))
    served.queue.flushdb()
    try:
        _invite(served)
        yield served
    finally:
        served.commands.engine.metrics.flush()
        served.commands.engine.database.close()
        served.celery.close()
        served.queue.close()
        before.set_current()
        _state.set_default_app(default)


def token_of(name: str) -> str:
    return f"the-token-of-{name}"


def wait_for(condition: Callable[[], bool], told: Callable[[], str] = lambda: "it never came") -> None:
    """Wait until the condition holds."""
    until = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < until, told()
        time.sleep(0.002)


def _invite(served: Served) -> None:
    with served.commands.engine.database.write() as tx:
        for name, role in PEOPLE.items():
            user = add_user(tx, name, role, time.time())
            token = token_of(name)
            add_token(tx, user.id, prefix_of(token), digest_of(token), time.time())
