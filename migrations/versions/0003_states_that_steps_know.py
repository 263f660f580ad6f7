"""States that steps know."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_FORMER = "'Success', 'Failed', 'TriggerFailed', 'Cancelled'"
_PRESENT = "'Success', 'Cached', 'Skipped', 'Failed', 'TriggerFailed', 'Cancelled'"
_CHECK = f"state IN ('Pending', 'Queued', 'Running', 'Retrying', 'Paused', {_PRESENT})"


def upgrade() -> None:
    op.add_column("steps", sa.Column("message", sa.Text(), nullable=True))
    op.add_column("steps", sa.Column("spoiled", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("steps", sa.Column("plain", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column("steps", sa.Column("reference", sa.Boolean(), server_default=sa.false(), nullable=False))
    _mark_leaves()
    _admit_new_states()
    _keep_notifications()


def _mark_leaves() -> None:
    """What no other step waits for decides how its operation ends."""
    op.execute(
        "UPDATE steps SET reference = TRUE WHERE NOT EXISTS (SELECT 1 FROM edges"
        " WHERE edges.operation_id = steps.operation_id AND edges.upstream = steps.number)"
    )


def _admit_new_states() -> None:
    """Let the check admit them; on SQLite in place, as its manual describes: a copy of the table may take an hour."""
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint(op.f("steps_state_check"), "steps", type_="check")
        op.create_check_constraint(op.f("steps_state_check"), "steps", _CHECK)
        return
    version = op.get_bind().exec_driver_sql("PRAGMA schema_version").scalar_one()
    op.execute("PRAGMA writable_schema = ON")
    former, present = (states.replace("'", "''") for states in (_FORMER, _PRESENT))
    op.execute(
        f"UPDATE sqlite_schema SET sql = replace(sql, '{former}', '{present}') WHERE type = 'table' AND name = 'steps'"  # noqa: S608
    )
    op.execute(f"PRAGMA schema_version = {version + 1}")
    op.execute("PRAGMA writable_schema = OFF")


def _keep_notifications() -> None:
    """Keep what people are to be told until they were."""
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
