"""Moving."""

from __future__ import annotations

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "installation",
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("installation_pkey")),
    )
    op.execute(sa.text("INSERT INTO installation (name) VALUES (:name)").bindparams(name=uuid4().hex))
    op.add_column("operations", sa.Column("slice", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("operations", sa.Column("origin", sa.Text(), nullable=True))
    op.add_column("operations", sa.Column("imported", sa.Text(), nullable=True))
    op.add_column("operations", sa.Column("moved_at", sa.Float(), nullable=True))
    op.add_column("operations", sa.Column("moved_to", sa.Text(), nullable=True))
    op.create_index(
        "operations_by_imported",
        "operations",
        ["imported"],
        unique=True,
        sqlite_where=sa.text("imported IS NOT NULL"),
        postgresql_where=sa.text("imported IS NOT NULL"),
    )
    op.create_index(
        "operations_by_origin",
        "operations",
        ["origin", "slice"],
        unique=False,
        sqlite_where=sa.text("origin IS NOT NULL"),
        postgresql_where=sa.text("origin IS NOT NULL"),
    )
