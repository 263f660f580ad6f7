"""The table of the code that operations are paused with; see `app.store.tables`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, ForeignKey, PrimaryKeyConstraint, Table, Text

from app.store.columns import KEY, metadata

paused_code: Final = Table(
    "paused_code",
    metadata,
    Column("operation_id", KEY, ForeignKey("operations.id", ondelete="CASCADE"), nullable=False, autoincrement=False),
    Column("code", Text, nullable=False),
    PrimaryKeyConstraint("operation_id"),
)
