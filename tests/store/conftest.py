"""Fixtures of the store: an SQLite file migrated once per session, and a copy of it for each test."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from app.store.database import Database
from app.store.migrations import upgrade_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file at the newest migration, empty of rows; nobody has it open, so it may be copied."""
    file = tmp_path_factory.mktemp("migrated") / "operations.db"
    upgrade_database(Database(f"sqlite:///{file}"))
    return file


@pytest.fixture
def database(migrated_file: Path, tmp_path: Path) -> Iterator[Database]:
    """A migrated database of the test's own."""
    copy = Database(f"sqlite:///{shutil.copy(migrated_file, tmp_path)}")
    yield copy
    copy.close()
