"""The table of bulks; see `app.store.tables`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, Table, Text, text

from app.domain.bulk import Verb
from app.store.columns import KEY, metadata, one_of, only

bulks: Final = Table(
    "bulks",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("requester_id", KEY, ForeignKey("user.id"), nullable=False),
    Column("verb", Text, one_of("verb", Verb), nullable=False),
    Column("workflow", Text),
    Column("completions", Text, nullable=False),
    Column("owner_id", KEY),
    Column("reason", Text),
    Column("resume_at", Float),
    Column("per_minute", Integer),
    Column("newest", BigInteger, nullable=False),
    Column("newest_event", BigInteger, nullable=False),
    Column("place", BigInteger, nullable=False, server_default=text("0")),
    Column("total", Integer, nullable=False),
    Column("done", Integer, nullable=False, server_default=text("0")),
    Column("refused", Integer, nullable=False, server_default=text("0")),
    Column("refusals", Text, nullable=False, server_default=text("'{}'")),
    Column("created_at", Float, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("finished_at", Float),
    Column("stopped_by", Text),
    Column("idempotency_key", Text),
    Column("request_digest", Text),
    sqlite_autoincrement=True,
)
Index("bulks_due", bulks.c.due_at, **only("finished_at IS NULL"))
Index(
    "bulks_by_idempotency_key",
    bulks.c.requester_id,
    bulks.c.idempotency_key,
    unique=True,
    **only("idempotency_key IS NOT NULL"),
)
