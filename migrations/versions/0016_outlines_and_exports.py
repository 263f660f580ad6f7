"""Outlines of steps with long signatures, and when operations were exported."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("operations", sa.Column("exported_at", sa.Float(), nullable=True))
    op.add_column("steps", sa.Column("outline", sa.Text(), nullable=True))
