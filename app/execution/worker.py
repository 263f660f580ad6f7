"""What a Celery worker does for operations besides running slices: it sweeps while it lives."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from celery import bootsteps, signals

from app.errors import HardLimitNeedsPrefork
from app.execution.sweeping import Sweeper

if TYPE_CHECKING:
    from app.execution.celery_app import OperationsCelery


class Sweeping(bootsteps.StartStopStep):
    """A step of the worker's start: sweeps until the worker stops."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        refuse_hard_limits(parent.app, parent.pool_cls.__module__.rpartition(".")[2])
        self._sweeper = Sweeper(parent.app.engine)

    def start(self, parent: Any) -> None:  # noqa: ARG002
        """Begin with the worker."""
        self._sweeper.start()

    def stop(self, parent: Any) -> None:  # noqa: ARG002
        """End with the worker."""
        self._sweeper.stop()


def refuse_hard_limits(celery: Any, pool: str) -> None:
    """Raise HardLimitNeedsPrefork when a task has a hard time limit that this pool cannot keep: it kills nothing."""
    limited = [name for name, task in celery.tasks.items() if getattr(task, "time_limit", None)]
    if pool != "prefork" and limited:
        raise HardLimitNeedsPrefork(pool, sorted(limited))


@signals.worker_init.connect
def register(sender: Any, **_: Any) -> None:
    """Enter the worker in the table before its pool is forked: the processes of the pool belong to it too."""
    sender.app.engine.register()


@signals.after_setup_logger.connect
def quieten(logger: logging.Logger, **_: Any) -> None:
    """Log no line for each delivery and each step, unless all is wanted: they hold results, and the table has them."""
    if logger.level > logging.DEBUG:
        for name in ("celery.app.trace", "celery.worker.strategy"):
            logging.getLogger(name).setLevel(max(logger.level, logging.WARNING))


def equip(celery: OperationsCelery) -> None:
    """Make every worker of this app sweep."""
    celery.steps["worker"].add(Sweeping)
