"""Fixtures shared by every test: a real broker for the session."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from app.supervisor.embedded_broker import free_port, prepare_broker

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["broker_url", "free_port"]


@pytest.fixture(scope="session")
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real broker on loopback that lives as long as the session; database 0 is its default."""
    broker = prepare_broker(tmp_path_factory.mktemp("broker"))
    with subprocess.Popen(broker.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        while not broker.answers():
            assert server.poll() is None, "the broker ended at start"
            time.sleep(0.01)
        yield broker.url
        server.terminate()
