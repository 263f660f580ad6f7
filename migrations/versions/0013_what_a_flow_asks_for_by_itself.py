"""What a flow asks for by itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("operations", sa.Column("flow_options", sa.Text(), nullable=True))
