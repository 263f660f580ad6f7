"""What runs slices: a relay in this process, and messages that come as a cloud's do, twice and in any order."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from celery.contrib.testing.app import setup_default_app

from pausable.documents.signing import Keys
from pausable.engine.local import Budget
from pausable.results.local import LocalResult
from pausable.serverless.relay import Message, Publisher, Relay
from pausable.workflows.registry import SHIPPED, load_workflows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pausable.documents.model import Document

KEY = "a-key-of-at-least-thirty-two-characters"
ONE = Budget(steps=1)
FLOWS = "tests.serverless.flows"
for _module in (*SHIPPED, FLOWS):  # while no test's own app is set: what is imported then is forgotten with it
    import_module(_module)


class Kept(Publisher):
    """Keeps every message that is published."""

    largest = 1_000_000

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.is_down = False

    def publish(self, message: Message) -> None:
        if self.is_down:
            raise OSError("nobody takes it")
        self.messages.append(message)


@dataclass
class Slices:
    """A relay, what it publishes, and the marks that steps leave."""

    folder: Path
    publisher: Kept = field(default_factory=Kept)
    keys: Keys = field(default_factory=lambda: Keys([KEY]))

    @property
    def relay(self) -> Relay:
        """A new one each time, as in a fresh process."""
        return Relay(load_workflows([FLOWS]), self.keys, LocalResult(self.folder / "store"), self.publisher)

    @property
    def ledger(self) -> str:
        return str(self.folder / "ledger")

    def marks(self) -> list[str]:
        ledger = self.folder / "ledger"
        return ledger.read_text().splitlines() if ledger.exists() else []

    def by_hand(self, workflow: str, **arguments: Any) -> bytes:
        """A signed document of an operation that has not begun."""
        return self.keys.sealed({"workflow": workflow, "arguments": arguments, "steps": []})

    def run(self, content: bytes, budget: Budget = ONE, **given: Any) -> Document | None:
        return self.relay.run(content, budget, **given)


@pytest.fixture(autouse=True)
def own_app() -> Iterator[None]:
    """A Celery app of each test's own: one that another test has closed would still be the current one."""
    with setup_default_app(Celery("tests", broker="memory://")):
        yield


@pytest.fixture
def slices(tmp_path: Path) -> Slices:
    return Slices(tmp_path)


def document_of(message: Message) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(message.content)
    return document
