"""Growths of steps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "growths",
        sa.Column("operation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.Column("growth", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operations.id"], name=op.f("growths_operation_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("operation_id", "number", name=op.f("growths_pkey")),
        sqlite_with_rowid=False,
    )
