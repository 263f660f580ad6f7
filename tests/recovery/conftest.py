"""Services of one test each, whose workers it may kill."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.execution.pausing import in_database
from tests.execution.service import Service, make_service
from tests.recovery.mortal import Mortal, start_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Employ = Callable[..., Mortal]

FLOWS = (
    "tests.recovery.flows",
    "tests.recovery.limited_flows",
    "tests.recovery.handler_flows",
    "tests.recovery.long_flows",
    "tests.recovery.interrupted_flows",
    "tests.recovery.hanging_flows",
    "tests.recovery.sending_flows",
)

#: Seconds after which a silent worker counts as lost here.
LEASE = 1.5


@pytest.fixture
def service(broker_url: str, tmp_path: Path) -> Iterator[Service]:
    """A service without workers."""
    service = make_service(tmp_path, in_database(broker_url, 8), lease=LEASE, flows=FLOWS)
    service.queue.flushdb()
    with service.at_work():
        yield service
    service.close()


@pytest.fixture
def employ(service: Service) -> Iterator[Employ]:
    """Start a worker of the service; all of them are killed when the test ends."""
    with ExitStack() as started:

        def start(**options: Any) -> Mortal:
            worker = start_worker(service, **options)
            started.callback(worker.bury)
            return worker

        yield start
