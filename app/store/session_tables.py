"""The table of the sessions of the console that were ended; see `app.store.tables`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Float, Index, PrimaryKeyConstraint, Table, Text

from app.store.columns import metadata

ended_sessions: Final = Table(
    "ended_sessions",
    metadata,
    Column("name", Text, nullable=False),
    Column("ended_at", Float, nullable=False),
    PrimaryKeyConstraint("name"),
)
Index("ended_sessions_by_end", ended_sessions.c.ended_at)
