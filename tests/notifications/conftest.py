"""Services of one test each, with an outbox that is filled by hand, and workers or notifiers where a test has one."""

from __future__ import annotations

import base64
import json
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pausable.db.outbox import Outgoing, Written, insert_notifications, list_notifications
from pausable.model.states import Completion
from pausable.notifications.notification import EXAMPLE
from pausable.worker.notifier import Notifier
from tests.databases import KINDS
from tests.execution.pausing import in_database
from tests.execution.service import Service, make_service, wait_for
from tests.notifications.endpoint import listening
from tests.recovery.mortal import Mortal, start_worker
from tests.store.rows import add_operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pausable.db.history import Event
    from pausable.notifications.notification import Notification
    from tests.conftest import NewDatabase
    from tests.notifications.endpoint import Endpoint

FLOWS = ("tests.notifications.flows",)


@dataclass
class Outbox:
    """The outbox of a service: what a test puts in, and what became of it."""

    service: Service

    def put(self, many: int = 1, *, source: str = "all", number: int = 0, **facts: Any) -> int:
        """Put notifications of a new operation in; returns the operation's id."""
        with self.service.engine.database.write() as tx:
            operation = add_operation(tx, Completion.IN_PROGRESS)
            told = json.dumps({**EXAMPLE, "operation_id": operation, **facts})
            now = time.time()
            insert_notifications(
                tx,
                [
                    Written(operation, "clean", "notification", f"{change}:Failed", source, number, told, now)
                    for change in range(many)
                ],
            )
        return operation

    def rows(self, operation: int | None = None) -> list[Outgoing]:
        with self.service.engine.database.read() as tx:
            return list_notifications(tx, state=None, operation_id=operation, before_id=None, limit=100_000)

    def states(self) -> set[str]:
        return {row.state for row in self.rows()}

    def events(self, operation: int) -> list[Event]:
        return list(self.service.commands.events(self.service.ada, operation))

    def wait_until(self, state: str) -> None:
        """Wait until all stand so."""
        wait_for(lambda: self.states() == {state}, lambda: "\n".join(map(str, self.rows()[:20])))


@pytest.fixture(params=KINDS)
def database_kind(request: pytest.FixtureRequest) -> str:
    """Both kinds of database, one after the other."""
    return str(request.param)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_KEY", "whsec_" + base64.b64encode(b"k" * 32).decode())


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """Where the secret HOOK leads."""
    with listening() as endpoint:
        monkeypatch.setenv("HOOK", endpoint.url("/hook/token-a"))
        yield endpoint


@pytest.fixture
def outbox(broker_url: str, tmp_path: Path, new_database: NewDatabase, endpoint: Endpoint) -> Iterator[Outbox]:
    """The outbox of a service without workers."""
    given: dict[str, Any] = {
        "database_url": new_database(tmp_path),
        "webhook_hosts": (endpoint.host,),
        "lease": 1.5,
        "grace": 1.0,
    }
    service = make_service(tmp_path, in_database(broker_url, 9), flows=FLOWS, **given)
    service.queue.flushdb()
    with service.at_work():
        yield Outbox(service)
    service.close()


@pytest.fixture
def send(outbox: Outbox) -> Iterator[Callable[..., Notifier]]:
    """Start a notifier in this process whose code asks for these notifications."""
    with ExitStack() as started:

        def start(*asked: Notification) -> Notifier:
            outbox.service.engine.policies.everywhere = asked
            notifier = Notifier(outbox.service.engine)
            notifier.start()
            started.callback(notifier.stop)
            return notifier

        yield start


@pytest.fixture
def employ(outbox: Outbox) -> Iterator[Callable[..., Mortal]]:
    """Start a worker; all of them are killed when the test ends."""
    with ExitStack() as started:

        def start(**options: Any) -> Mortal:
            worker = start_worker(outbox.service, **options)
            started.callback(worker.bury)
            return worker

        yield start
