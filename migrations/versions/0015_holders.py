"""Holders of claims and of notifications."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_CHECK = "state <> 'Running' OR worker_id IS NOT NULL"
_KEY = "CONSTRAINT steps_pkey PRIMARY KEY (operation_id, number)"


def upgrade() -> None:
    op.add_column("notifications", sa.Column("taken_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite")))
    _take_from_nobody()
    _require_holders()


def _take_from_nobody() -> None:
    """Queue what runs under a claim that no worker holds: no sweep could ever tell that its holder is gone."""
    op.execute(
        "UPDATE steps SET state = 'Queued', claim = claim + 1, publishes = 0, due_at = 0, process = NULL,"
        " process_start = NULL WHERE state = 'Running' AND worker_id IS NULL"
    )


def _require_holders() -> None:
    """Let each claim have a holder; on SQLite in place, as its manual describes: a copy of the table may take long."""
    if op.get_bind().dialect.name != "sqlite":
        op.create_check_constraint(op.f("steps_holder_check"), "steps", _CHECK)
        return
    version = op.get_bind().exec_driver_sql("PRAGMA schema_version").scalar_one()
    check = f"CONSTRAINT steps_holder_check CHECK ({_CHECK})".replace("'", "''")
    op.execute("PRAGMA writable_schema = ON")
    op.execute(
        f"UPDATE sqlite_schema SET sql = replace(sql, '{_KEY}', '{_KEY}, {check}')"  # noqa: S608
        " WHERE type = 'table' AND name = 'steps'"
    )
    op.execute(f"PRAGMA schema_version = {version + 1}")
    op.execute("PRAGMA writable_schema = OFF")
