"""What every part of the execution shares: the database, the publisher, the limits of a slice, and who we are."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from app import clock
from app.execution.incarnation import this_process
from app.store.steps import Holder
from app.store.workers import register_worker

if TYPE_CHECKING:
    from pathlib import Path

    from celery import Celery

    from app.execution.publishing import Publisher
    from app.store.database import Database

#: After this many seconds a queued step that nobody has claimed is published again; the time doubles with each.
REPUBLISH_AFTER: Final = 60.0


@dataclass(frozen=True, slots=True)
class Engine:
    """Handed to every function of this package that touches the database or the broker."""

    app: Celery
    database: Database
    publisher: Publisher
    workflow_store: Path
    slice_seconds: float
    slice_steps: int
    incarnation: Incarnation = field(default_factory=lambda: Incarnation())

    def holder(self) -> Holder:
        """Who holds the claims that this process makes."""
        return Holder(self.incarnation.worker_id, os.getpid())

    def register(self) -> None:
        """Enter this process in the table as a worker; what it forks belongs to it."""
        with self.database.write() as tx:
            self.incarnation.worker_id = register_worker(tx, this_process(), clock.now())


@dataclass(slots=True)
class Incarnation:
    """The row of `workers` that this process belongs to; None outside a worker."""

    worker_id: int | None = None
