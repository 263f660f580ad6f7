"""On which databases a test runs: those of the store and the engine on both, all others on SQLite.

A test of those that stands for one database alone says so with these marks, and so does a test elsewhere that is to run
on both.
"""

from __future__ import annotations

import pytest

KINDS = ("sqlite", "postgresql")

on_both = pytest.mark.parametrize("database_kind", KINDS)
on_sqlite_alone = pytest.mark.parametrize("database_kind", ["sqlite"])
on_postgresql_alone = pytest.mark.parametrize("database_kind", ["postgresql"])
