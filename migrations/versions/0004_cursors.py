"""Cursors."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("steps", sa.Column("cursor", sa.Text(), nullable=True))
    op.add_column("steps", sa.Column("done", sa.BigInteger(), nullable=True))
    op.add_column("steps", sa.Column("total", sa.BigInteger(), nullable=True))
