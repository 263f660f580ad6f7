"""Schedules."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("operations", sa.Column("start_at", sa.Float(), nullable=True))
    op.add_column("operations", sa.Column("due_at", sa.Float(), nullable=True))
    op.create_index(
        "operations_due",
        "operations",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
