"""The real engine, whose processes are hands that a test leads from gate to gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pausable import clock
from tests.execution.pausing import in_database
from tests.execution.service import make_service
from tests.execution.witness import place_witness
from tests.model.driving import Driven
from tests.model.gates import gates_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: No slice ends for want of time, and no step fails because its worker was lost too often: a test says what happens.
_BOUNDLESS: dict[str, Any] = {"slice_seconds": 1000, "max_losses": 100}


@pytest.fixture
def driven(broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driven]:
    """The real engine without a worker of its own, on a table that writes every move down."""
    flows, broker = ("tests.model.flow",), in_database(broker_url, 2)
    service = make_service(tmp_path, broker, flows, synchronous="NORMAL", **_BOUNDLESS)
    service.queue.flushdb()
    place_witness(service)
    with service.at_work(), gates_in(service, monkeypatch), clock.frozen_at(clock.now()) as time:
        driven = Driven(service, time)
        yield driven
        driven.close()
    service.close()
