"""The tables as SQLAlchemy objects; `schema.sql` says what each is for and who writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

from pausable.model.bulk import Verb
from pausable.model.states import Completion, StepState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

metadata: Final = MetaData(
    naming_convention={
        "ix": "%(table_name)s_by_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)

#: An autoincrementing key; on SQLite only INTEGER is one.
KEY: Final = BigInteger().with_variant(Integer, "sqlite")


def one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    """Return a constraint that the column holds one of these texts."""
    texts = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({texts})", name=column)


def only(condition: str) -> dict[str, Any]:
    """Return the options of a partial index on those rows."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


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


paused_code: Final = Table(
    "paused_code",
    metadata,
    Column("operation_id", KEY, ForeignKey("operations.id", ondelete="CASCADE"), nullable=False, autoincrement=False),
    Column("code", Text, nullable=False),
    PrimaryKeyConstraint("operation_id"),
)


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


ended_sessions: Final = Table(
    "ended_sessions",
    metadata,
    Column("name", Text, nullable=False),
    Column("ended_at", Float, nullable=False),
    PrimaryKeyConstraint("name"),
)
Index("ended_sessions_by_end", ended_sessions.c.ended_at)


user: Final = Table(
    "user",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", Text, CheckConstraint("role IN ('user', 'admin')", name="role"), nullable=False),
    Column("created_at", Float, nullable=False),
    sqlite_autoincrement=True,
)

tokens: Final = Table(
    "tokens",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("user_id", KEY, ForeignKey("user.id"), nullable=False),
    Column("prefix", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    Column("revoked_at", Float),
    sqlite_autoincrement=True,
)

Index("tokens_by_user", tokens.c.user_id)

operations: Final = Table(
    "operations",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("requester_id", KEY, ForeignKey("user.id"), nullable=False),
    Column("completion", Text, one_of("completion", Completion), nullable=False),
    Column("workflow_store", Text),
    Column("result", Text),
    Column("workflow", Text, nullable=False),
    Column("arguments", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("steps_total", Integer, nullable=False),
    Column("steps_left", Integer, nullable=False),
    Column("steps_done", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("workflow_digest", Text),
    Column("error", Text),
    Column("reason", Text),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("idempotency_key", Text),
    Column("request_digest", Text),
    Column("slice", Integer, nullable=False, server_default=text("0")),
    Column("origin", Text),
    Column("imported", Text),
    Column("moved_at", Float),
    Column("moved_to", Text),
    Column("start_at", Float),
    Column("due_at", Float),
    Column("flow_options", Text),
    Column("exported_at", Float),
    sqlite_autoincrement=True,
)
Index(
    "operations_due",
    operations.c.due_at,
    **only("due_at IS NOT NULL"),
)
Index("operations_by_requester", operations.c.requester_id, operations.c.id)
Index("operations_of_requester_by_completion", operations.c.requester_id, operations.c.completion, operations.c.id)
Index("operations_of_requester_by_workflow", operations.c.requester_id, operations.c.workflow, operations.c.id)
Index("operations_by_completion", operations.c.completion, operations.c.id)
Index("operations_by_workflow", operations.c.workflow, operations.c.id)
Index(
    "operations_by_finish",
    operations.c.finished_at,
    **only("finished_at IS NOT NULL"),
)
Index(
    "operations_by_idempotency_key",
    operations.c.requester_id,
    operations.c.idempotency_key,
    unique=True,
    **only("idempotency_key IS NOT NULL"),
)

Index(
    "operations_by_origin",
    operations.c.origin,
    operations.c.slice,
    **only("origin IS NOT NULL"),
)
Index(
    "operations_by_imported",
    operations.c.imported,
    unique=True,
    **only("imported IS NOT NULL"),
)

steps: Final = Table(
    "steps",
    metadata,
    Column("operation_id", KEY, ForeignKey("operations.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("slug", Text, nullable=False),
    Column("state", Text, one_of("state", StepState), nullable=False),
    Column("claim", Integer, nullable=False),
    Column("losses", Integer, nullable=False),
    Column("runs", Integer, nullable=False),
    Column("retries", Integer, nullable=False),
    Column("waiting", Integer, nullable=False),
    Column("signature", Text, nullable=False),
    Column("inputs", Text),
    Column("point", Integer),
    Column("clause", Text),
    Column("callback", Text),
    Column("passed", Boolean, nullable=False),
    Column("result", Text),
    Column("error", Text),
    Column("worker_id", KEY, ForeignKey("workers.id")),
    Column("process", Integer),
    Column("process_start", BigInteger),
    Column("due_at", Float),
    Column("publishes", Integer, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("message", Text),
    Column("spoiled", Integer, nullable=False, server_default=text("0")),
    Column("plain", Boolean, nullable=False, server_default=true()),
    Column("reference", Boolean, nullable=False, server_default=false()),
    Column("cursor", Text),
    Column("done", BigInteger),
    Column("total", BigInteger),
    Column("parked", Boolean, nullable=False, server_default=false()),
    Column("outline", Text),
    PrimaryKeyConstraint("operation_id", "number"),
    CheckConstraint("state <> 'Running' OR worker_id IS NOT NULL", name="holder"),
)
Index(
    "steps_running",
    steps.c.operation_id,
    **only("state = 'Running'"),
)
Index(
    "steps_due",
    steps.c.due_at,
    **only("state IN ('Queued', 'Retrying') AND NOT parked"),
)
Index(
    "steps_by_worker",
    steps.c.worker_id,
    **only("worker_id IS NOT NULL"),
)

edges: Final = Table(
    "edges",
    metadata,
    Column("operation_id", KEY, ForeignKey("operations.id", ondelete="CASCADE"), nullable=False),
    Column("upstream", Integer, nullable=False),
    Column("downstream", Integer, nullable=False),
    PrimaryKeyConstraint("operation_id", "upstream", "downstream"),
    sqlite_with_rowid=False,
)

growths: Final = Table(
    "growths",
    metadata,
    Column("operation_id", KEY, ForeignKey("operations.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("last", Integer, nullable=False),
    Column("growth", Text),
    PrimaryKeyConstraint("operation_id", "number"),
    sqlite_with_rowid=False,
)

events: Final = Table(
    "events",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("operation_id", KEY, ForeignKey("operations.id", ondelete="CASCADE"), nullable=False),
    Column("at", Float, nullable=False),
    Column("who", Text, nullable=False),
    Column("step", Text),
    Column("old", Text),
    Column("new", Text, nullable=False),
    Column("why", Text),
)
Index("events_by_operation", events.c.operation_id, events.c.id)

workers: Final = Table(
    "workers",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("host", Text, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("start_time", BigInteger, nullable=False),
    Column("heartbeat", Integer, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("started_at", Float),
    Column("stopped_at", Float),
    Column("lost_at", Float),
    Column("queues", Text),
    UniqueConstraint("host", "boot_id", "pid", "start_time"),
    sqlite_autoincrement=True,
)

lost_claims: Final = Table(
    "lost_claims",
    metadata,
    Column("operation_id", KEY, ForeignKey("operations.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("claim", Integer, nullable=False),
    Column("worker_id", KEY, ForeignKey("workers.id")),
    Column("process", Integer),
    Column("process_start", BigInteger),
    Column("lost_at", Float, nullable=False),
    PrimaryKeyConstraint("operation_id", "number", "claim"),
    sqlite_with_rowid=False,
)

Index(
    "lost_claims_by_worker",
    lost_claims.c.worker_id,
    **only("worker_id IS NOT NULL"),
)

step_logs: Final = Table(
    "step_logs",
    metadata,
    Column("operation_id", KEY, ForeignKey("operations.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("run", Integer, nullable=False),
    Column("part", Integer, nullable=False),
    Column("lines", Text, nullable=False),
    PrimaryKeyConstraint("operation_id", "number", "run", "part"),
)

tallies: Final = Table(
    "tallies",
    metadata,
    Column("name", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("bucket", Integer, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("total", Float, nullable=False),
    PrimaryKeyConstraint("name", "label", "bucket"),
    sqlite_with_rowid=False,
)

installation: Final = Table("installation", metadata, Column("name", Text, primary_key=True))

notifications: Final = Table(
    "notifications",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("operation_id", KEY, ForeignKey("operations.id", ondelete="CASCADE"), nullable=False),
    Column("step", Text, nullable=False),
    Column("kind", Text, CheckConstraint("kind IN ('notification', 'telling')", name="kind"), nullable=False),
    Column("change", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("facts", Text, nullable=False),
    Column("state", Text, CheckConstraint("state IN ('Waiting', 'Sent', 'Failed')", name="state"), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Float),
    Column("error", Text),
    Column("created_at", Float, nullable=False),
    Column("finished_at", Float),
    Column("taken_by", KEY),
    UniqueConstraint("operation_id", "step", "change", "source", "number", "kind", name="notifications_once"),
    sqlite_autoincrement=True,
)
Index(
    "notifications_due",
    notifications.c.due_at,
    **only("state = 'Waiting'"),
)
Index("notifications_by_state", notifications.c.state, notifications.c.id)


def create_tables(tx: Connection) -> None:
    """Create the tables of the current schema in an empty database that is never upgraded."""
    metadata.create_all(tx)
