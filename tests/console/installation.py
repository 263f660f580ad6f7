"""A whole installation: the web server and a worker as `make run` starts them, SQLite, the embedded broker."""

from __future__ import annotations

import http.client
import os
import secrets
import signal
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.supervisor.broker import free_port
from app.supervisor.supervision import address_of, web_command, worker_command
from pausable.db.users import Role, User, add_token, add_user, digest_of, prefix_of, revoke_token
from tests.web.serving import Served, serving, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pausable.model.states import Completion
    from pausable.service.operations import Commands

FLOWS = "tests.console.flows"


@dataclass(frozen=True)
class Person:
    """Somebody of a test's own, who sees no other test's operations."""

    user: User
    token: str


@dataclass
class Installation:
    """The programs; the web server can be stopped and started again."""

    served: Served
    _web: ExitStack = field(default_factory=ExitStack)
    _web_pid: int = 0
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def address(self) -> str:
        return address_of(self.served.settings)

    @property
    def commands(self) -> Commands:
        return self.served.commands

    @property
    def input_dir(self) -> Path:
        return self.served.settings.input_dir

    def invite(self, name: str = "person", role: Role = "user") -> Person:
        """Add a user; their name is followed by a number."""
        with self.commands.engine.database.write() as tx:
            user = add_user(tx, f"{name}-{next(self._numbers)}", role, time.time())
        return self._let_in(user)

    def revoke(self, person: Person) -> None:
        """Let their token open nothing any more."""
        with self.commands.engine.database.write() as tx:
            assert revoke_token(tx, person.user.id, prefix_of(person.token), time.time())

    def let_in_again(self, person: Person) -> Person:
        """The same person with another token."""
        return self._let_in(person.user)

    def _let_in(self, user: User) -> Person:
        token = secrets.token_urlsafe(24)
        with self.commands.engine.database.write() as tx:
            add_token(tx, user.id, prefix_of(token), digest_of(token), time.time())
        return Person(user, token)

    def start(self, person: Person, workflow: str, **arguments: Any) -> int:
        """Start an operation of theirs."""
        return self.commands.start_operation(person.user, workflow, **arguments)

    def start_at_gate(self, person: Person) -> tuple[int, Path]:
        """Start an operation that runs until its gate, a file, is made; one step of it is in hand for sure."""
        gate = self.file()
        operation_id = self.start(person, "monthly-report", gate=str(gate))
        wait_for(lambda: self._waits(person, operation_id), self.served.told)
        return operation_id, gate

    def wait_until(self, person: Person, operation_id: int, *completions: Completion) -> None:
        """Wait until an operation stands at one of these."""
        look = self.commands.show
        wait_for(lambda: look(person.user, operation_id).operation.completion in completions, self.served.told)

    def _waits(self, person: Person, operation_id: int) -> bool:
        """Whether all that is left before the gate has ended."""
        view = self.commands.show(person.user, operation_id)
        return view.operation.steps_done == 2 and len(view.in_flight) == 1

    def file(self) -> Path:
        """A place for a file that nobody else has: a gate, or a word for a step."""
        return self.served.settings.data_dir / f"file-{next(self._numbers)}"

    def start_web(self) -> None:
        """Start the web server and wait until it answers."""
        self._web_pid = self._web.enter_context(self.served.running(*web_command(self.served.settings)[2:]))
        wait_for(self._answers, self.served.told)

    def stop_web(self) -> None:
        """Stop the web server and wait until it is gone."""
        self._web.close()

    @contextmanager
    def web_frozen(self) -> Iterator[None]:
        """Let the web server stand still meanwhile: it closes no connection, and answers on none."""
        pids = [first := self._web_pid, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())]
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.served.settings.port, timeout=10)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()


@contextmanager
def installed(folder: Path, broker_url: str, database_url: str) -> Iterator[Installation]:
    """The programs of an installation in `folder`, whose database is migrated already, until the end."""
    with serving(folder, broker_url, FLOWS, database_url=database_url, port=free_port(), workers=4) as served:
        installation = Installation(served)
        with served.running(*worker_command(served.settings)[2:]):
            try:
                installation.start_web()
                yield installation
            finally:
                installation.stop_web()
