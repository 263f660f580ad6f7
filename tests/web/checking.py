"""Operations of the workflows in `checked_flows`, paused and looked at; this process is the worker of their queue."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pausable.db.workers import register_worker
from pausable.processes import this_process
from tests.execution.pausing import in_database
from tests.web.calling import Caller, json_of
from tests.web.serving import Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def checked(folder: Path, broker_url: str, database_url: str) -> Iterator[Served]:
    """The service with these workflows."""
    broker, flows = in_database(broker_url, 3), "tests.web.checked_flows"
    with serving(folder, broker, flows, database_url=database_url, slice_steps=1) as served:
        engine = served.commands.engine
        with engine.database.write() as tx:
            engine.incarnation.worker_id = register_worker(tx, this_process(), 4e9, ["operations"])
        yield served


def paused(bob: Caller, workflow: str = "plain") -> str:
    """An operation that is paused before the first of its steps."""
    address = bob.start(workflow)
    assert bob.post(f"{address}/pause").status_code == 200
    return address


def found(bob: Caller, address: str) -> list[dict[str, Any]]:
    answer = bob.get(f"{address}/preflight")
    assert answer.status_code == 200, answer.text
    told: list[dict[str, Any]] = json_of(answer)["findings"]
    return told


def kinds(bob: Caller, address: str) -> list[tuple[str, str | None]]:
    return [(one["kind"], one["about"]) for one in found(bob, address)]
