"""On which databases a test runs: those of the store and the engine on both, all others on SQLite.

A test of those that stands for one database alone says so with these marks, and so does a test elsewhere that is to run
on both. A module of those whose claims no database decides has a `database_kind` made by `both_when_long`.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.amounts import usually

KINDS = ("sqlite", "postgresql")

on_both = pytest.mark.parametrize("database_kind", KINDS)
on_sqlite_alone = pytest.mark.parametrize("database_kind", ["sqlite"])
on_postgresql_alone = pytest.mark.parametrize("database_kind", ["postgresql"])


def both_when_long() -> Any:
    """Make a module's fixture `database_kind`: SQLite, and PostgreSQL too in `make test-long`."""

    @pytest.fixture(params=usually(KINDS[:1], long=KINDS))
    def database_kind(request: pytest.FixtureRequest) -> str:
        return str(request.param)

    return database_kind
