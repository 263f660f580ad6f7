"""Fixtures of the store: a migrated database for each test, once of each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pausable.db.database import Database
from tests.databases import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import NewDatabase


@pytest.fixture(params=KINDS)
def database_kind(request: pytest.FixtureRequest) -> str:
    """Both kinds of database, one after the other."""
    return str(request.param)


@pytest.fixture
def database(new_database: NewDatabase, tmp_path: Path) -> Iterator[Database]:
    """A migrated database of the test's own."""
    database = Database(new_database(tmp_path))
    yield database
    database.close()
