"""Recovery and years of running."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "tallies",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", "label", "bucket", name=op.f("tallies_pkey")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "lost_claims",
        sa.Column("operation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("claim", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("process", sa.Integer(), nullable=True),
        sa.Column("process_start", sa.BigInteger(), nullable=True),
        sa.Column("lost_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operations.id"], name=op.f("lost_claims_operation_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("lost_claims_worker_id_fkey")),
        sa.PrimaryKeyConstraint("operation_id", "number", "claim", name=op.f("lost_claims_pkey")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "step_logs",
        sa.Column("operation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("lines", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operations.id"], name=op.f("step_logs_operation_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("operation_id", "number", "run", "part", name=op.f("step_logs_pkey")),
    )
    op.create_index(
        "operations_by_finish",
        "operations",
        ["finished_at"],
        unique=False,
        sqlite_where=sa.text("finished_at IS NOT NULL"),
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    op.add_column("steps", sa.Column("process_start", sa.BigInteger(), nullable=True))
    op.add_column("workers", sa.Column("started_at", sa.Float(), nullable=True))
    op.add_column("workers", sa.Column("lost_at", sa.Float(), nullable=True))
