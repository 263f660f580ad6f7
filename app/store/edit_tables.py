"""The table of edits; see `app.store.tables`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, Table, Text

from app.store.columns import KEY, metadata

edits: Final = Table(
    "edits",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("operation_id", KEY, ForeignKey("operations.id", ondelete="CASCADE"), nullable=False),
    Column("at", Float, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text),
    Column("diff", Text, nullable=False),
    Column("former", Text, nullable=False),
    Column("runs", Integer, nullable=False),
    Column("undone_at", Float),
    Column("undone_by", Text),
    sqlite_autoincrement=True,
)
Index("edits_by_operation", edits.c.operation_id, edits.c.id)
