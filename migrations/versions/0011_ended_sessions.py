"""Ended sessions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "ended_sessions",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("ended_sessions_pkey")),
    )
    op.create_index("ended_sessions_by_end", "ended_sessions", ["ended_at"], unique=False)
