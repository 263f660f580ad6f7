"""Runs the migrations on the connection, and inside the transaction, that `pausable.db.migrations` hands over."""

from __future__ import annotations

from alembic import context

from pausable.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    on_version_apply=context.config.attributes.get("after_each"),
)
with context.begin_transaction():
    context.run_migrations()
