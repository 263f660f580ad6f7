"""States that steps know."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("operation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.Float(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.CheckConstraint("kind IN ('notification', 'telling')", name=op.f("notifications_kind_check")),
        sa.CheckConstraint("state IN ('Waiting', 'Sent', 'Failed')", name=op.f("notifications_state_check")),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operations.id"], name=op.f("notifications_operation_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("notifications_pkey")),
        sa.UniqueConstraint("operation_id", "step", "change", "source", "number", "kind", name="notifications_once"),
        sqlite_autoincrement=True,
    )
    op.create_index("notifications_by_state", "notifications", ["state", "id"], unique=False)
    op.create_index(
        "notifications_due",
        "notifications",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'Waiting'"),
        postgresql_where=sa.text("state = 'Waiting'"),
    )
