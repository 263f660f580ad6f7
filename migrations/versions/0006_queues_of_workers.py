"""Queues of workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("workers", sa.Column("queues", sa.Text(), nullable=True))
