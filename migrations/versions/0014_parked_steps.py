"""Steps that no sweep looks at while their operation is paused, and an index behind every foreign key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_index(
        "lost_claims_by_worker",
        "lost_claims",
        ["worker_id"],
        unique=False,
        sqlite_where=sa.text("worker_id IS NOT NULL"),
        postgresql_where=sa.text("worker_id IS NOT NULL"),
    )
    op.add_column("steps", sa.Column("parked", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index(
        "steps_by_worker",
        "steps",
        ["worker_id"],
        unique=False,
        sqlite_where=sa.text("worker_id IS NOT NULL"),
        postgresql_where=sa.text("worker_id IS NOT NULL"),
    )
    op.create_index("tokens_by_user", "tokens", ["user_id"], unique=False)
    op.drop_index("steps_due", "steps")
    op.create_index(
        "steps_due",
        "steps",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('Queued', 'Retrying') AND NOT parked"),
        postgresql_where=sa.text("state IN ('Queued', 'Retrying') AND NOT parked"),
    )
    op.execute("""
        UPDATE steps SET parked = true
        WHERE state = 'Retrying' AND operation_id IN (SELECT id FROM operations WHERE completion = 'PAUSED')
    """)
