"""The commands of the terminal on a real database and a real broker; a worker only where a test has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.terminal import Terminal
from tests.execution.pausing import in_database
from tests.web.serving import Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import NewDatabase


@pytest.fixture
def served(new_database: NewDatabase, broker_url: str, tmp_path: Path) -> Iterator[Served]:
    """The service, with an admin, ada, and two users, bob and eve; a test delivers messages itself."""
    with serving(tmp_path, in_database(broker_url, 12), database_url=new_database(tmp_path), slice_steps=1) as served:
        yield served


@pytest.fixture
def terminal(served: Served) -> Terminal:
    return Terminal(served)
