"""Two installations of the service that have the same key, and what tests have them do with documents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pausable.model.states import Completion
from pausable.service.transfer import advance, export_operation, import_operation
from tests.execution.pausing import in_database
from tests.execution.service import Service, make_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pausable.engine.local import Budget

if TYPE_CHECKING:
    ByHand = Callable[..., Service]

KEY = "a key of thirty-two characters....".replace(" ", "-")


@pytest.fixture
def here(by_hand: ByHand) -> Service:
    """Where operations are started; its slices end after each step."""
    return by_hand(slice_steps=1, document_key=KEY)


@pytest.fixture
def there(here: Service, broker_url: str, tmp_path: Path) -> Iterator[Service]:
    """Another installation, which has the same key and another database."""
    there = make_service(tmp_path / "there", in_database(broker_url, 9), document_key=KEY)
    there.queue.flushdb()
    yield there
    there.close()


def paused(service: Service, workflow: str, steps: int = 1, **arguments: Any) -> int:
    """An operation that was paused after so many steps."""
    with service.at_work():
        operation = service.start(workflow, **arguments)
        for _ in range(steps):
            service.deliver()
        service.pause(operation)
    assert service.show(operation).steps_done == steps
    return operation


def exported(service: Service, operation: int, **given: Any) -> bytes:
    return export_operation(service.commands, service.ada, operation, **given)


def imported(service: Service, content: bytes, **given: Any) -> int:
    return import_operation(service.commands, service.ada, content, **given)[0].operation.id


def run_out(service: Service, operation: int) -> Any:
    """Resume it, deliver all its messages, and return its result."""
    with service.at_work():
        service.resume(operation)
        service.deliver_all()
    ended = service.show(operation)
    assert ended.completion is Completion.COMPLETED, ended
    return json.loads(ended.result or "null")


def advanced(service: Service, content: bytes, budget: Budget) -> bytes:
    keys = service.engine.keys
    return keys.sealed(advance(content, budget, service.commands.workflows, keys))
