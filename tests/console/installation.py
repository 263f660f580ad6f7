"""A whole installation: the web server and a worker as `make run` starts them, SQLite, the embedded broker."""

from __future__ import annotations

import http.client
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from app.domain.tokens import digest_of, prefix_of
from app.store.users import Role, User, add_token, add_user
from app.supervisor.embedded_broker import free_port
from app.supervisor.programs import address_of, web_command, worker_command
from tests.web.serving import Served, serving, token_of, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from app.commands import Commands

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
        token = token_of(f"{name}-{next(self._numbers)}")
        with self.commands.engine.database.write() as tx:
            user = add_user(tx, token.removeprefix(token_of("")), role, time.time())
            add_token(tx, user.id, prefix_of(token), digest_of(token), time.time())
        return Person(user, token)

    def file(self) -> Path:
        """A place for a file that nobody else has: a gate, or a word for a step."""
        return self.served.settings.data_dir / f"file-{next(self._numbers)}"

    def start_web(self) -> None:
        """Start the web server and wait until it answers."""
        self._web.enter_context(self.served.running(*web_command(self.served.settings)[2:]))
        wait_for(self._answers, self.served.told)

    def stop_web(self) -> None:
        """Stop the web server and wait until it is gone."""
        self._web.close()

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
    with serving(folder, broker_url, FLOWS, database_url=database_url, port=free_port()) as served:
        installation = Installation(served)
        with served.running(*worker_command(served.settings)[2:]):
            try:
                installation.start_web()
                yield installation
            finally:
                installation.stop_web()
