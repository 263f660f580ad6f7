"""The start and the end of a Celery worker: its background threads, signal handlers and logging."""

from __future__ import annotations

import gc
import json
import logging
import os
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from celery import bootsteps, current_app, signals
from celery.worker.control import control_command

from pausable import clock
from pausable.celery_compat import write_signal_messages_with
from pausable.engine.engine import WakeUp
from pausable.engine.errands import Errands
from pausable.engine.limits import process_settings, take_over
from pausable.errors import DatabaseBehind, HardLimitNeedsPrefork, SecretMissing
from pausable.processes import tied_to
from pausable.secrets import Secret
from pausable.worker.consumer import Backpressure
from pausable.worker.heartbeat import Heartbeat
from pausable.worker.notifier import Notifier
from pausable.worker.recovery import BrokerWatchdog, RecoveryThread, is_at_work
from pausable.worker.shutdown import Shutdown
from pausable.worker.sweeper import Sweeper

if TYPE_CHECKING:
    from pausable.engine.celery_app import OperationsCelery
    from pausable.engine.engine import Engine

_log = logging.getLogger(__name__)


class BackgroundThreads(bootsteps.StartStopStep):
    """A worker bootstep that runs the background threads until the pool has finished."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        require_enforceable_limits(parent.app, parent.pool_cls.__module__.rpartition(".")[2])

    def start(self, parent: Any) -> None:
        """Start the threads, and connect their end to Celery's shutdown signals."""
        engine = parent.app.engine
        heartbeat = Heartbeat(engine, lambda: list(parent.app.amqp.queues.consume_from))
        shutdown = Shutdown(engine)
        queues = parent.app.amqp.queues.consume_from
        watchdog = BrokerWatchdog(engine, queues, lambda: _is_connected(parent))
        errands = engine.incarnation.errands = Errands(engine.database)
        recoverer = engine.incarnation.recoverer = RecoveryThread(engine, watchdog, is_at_work)
        sweeper = Sweeper(engine)
        notifier = engine.incarnation.notifier = Notifier(engine)
        for sentence in missing_secrets(engine):
            _log.warning("a notification cannot be sent from this worker: %s", sentence)
        for part in (heartbeat, recoverer, sweeper, shutdown, notifier):
            part.start()

        def begin_shutdown(**_: Any) -> None:
            shutdown.begin()
            notifier.begin_shutdown()

        def end(**_: Any) -> None:
            shutdown.end()
            notifier.stop()
            heartbeat.stop()
            errands.stop()
            recoverer.stop()
            sweeper.stop()

        signals.worker_shutting_down.connect(begin_shutdown, weak=False)
        signals.worker_shutdown.connect(end, weak=False)


def _is_connected(worker: Any) -> bool:
    return bool(worker.consumer and worker.consumer.connection)


def missing_secrets(engine: Engine) -> list[str]:
    """Return a sentence for each secret of a notification that this worker cannot read."""
    secrets = {one.to.name: one.to for one in engine.policies.notifications() if isinstance(one.to, Secret)}
    found = []
    for secret in secrets.values():
        try:
            secret.get()
        except SecretMissing as why:
            found.append(str(why))
    return found


def require_enforceable_limits(celery: Any, pool: str) -> None:
    """Raise HardLimitNeedsPrefork if a task has a hard time limit and the pool cannot kill its processes."""
    limited = [name for name, task in celery.tasks.items() if getattr(task, "time_limit", None)]
    if pool != "prefork" and limited:
        raise HardLimitNeedsPrefork(pool, sorted(limited))


def require_current_schema(engine: Engine) -> None:
    """Exit with a message if the database is empty or not at the newest migration.

    If the database cannot be reached, the worker starts anyway and registers later.
    """
    from pausable.db.migrations import is_current  # it imports Alembic, which a worker needs nowhere else

    with suppress(Exception):
        if not is_current(engine.database):
            raise SystemExit(str(DatabaseBehind()))


def register(sender: Any, **_: Any) -> None:
    """Register the worker before its pool is forked, so that the processes of the pool share its row.

    If the database cannot be reached, the heartbeat registers later; until then the worker claims nothing.
    """
    engine = getattr(sender.app, "engine", None)
    if engine is None:
        return
    require_current_schema(engine)
    engine.become_worker(WakeUp())
    try:
        engine.register(list(sender.app.amqp.queues.consume_from))
    except Exception as why:
        _log.warning("this worker could not be registered yet and claims nothing until it is: %s", type(why).__name__)
    process_settings.begin()


@control_command()
def wake_sweeper(state: Any, **_: Any) -> None:
    """Wake the sweeper: another program has written something that is due before the next sweep."""
    engine = getattr(state.app, "engine", None)
    if engine:
        engine.wake_sweeper()


def end_with_worker(**_: Any) -> None:
    """End this process of the pool with its worker: nothing else would write its heartbeat or release its claims."""
    engine = getattr(current_app, "engine", None)
    if engine and engine.incarnation.pid not in (None, os.getpid()):  # the `solo` pool runs in the worker's own process
        tied_to(engine.incarnation.pid)()


def restrict_soft_limits(**_: Any) -> None:
    """Restrict soft time limits in this process of the pool to interrupting authors' code."""
    take_over()


def freeze_objects(**_: Any) -> None:
    """Leave what this process has loaded at its start out of all later garbage collections.

    Exceptions of steps are in reference cycles (billiard's copies of their frames), which only a full collection frees.
    Python makes one when the objects that are new since the last have become a quarter of all: with the 160,000 of the
    loaded code among these it comes so rarely that a process grows by tens of MB. It would also write to each page
    that the processes of a pool share with their parent. The collection behind the freeze makes Python count anew.
    """
    gc.freeze()
    gc.collect()


def reduce_log_level(logger: logging.Logger, **_: Any) -> None:
    """Hide Celery's log lines about each delivery and step, which contain results, unless DEBUG is set."""
    if logger.level > logging.DEBUG:
        for name in ("celery.app.trace", "celery.worker.strategy"):
            logging.getLogger(name).setLevel(max(logger.level, logging.WARNING))


def keep_logging() -> None:
    """Keep the logging that was configured before a worker starts, instead of Celery's."""
    signals.setup_logging.connect(_apply_level, weak=False, dispatch_uid="keep-log")
    write_signal_messages_with(_write_signal_message)


def _write_signal_message(message: str, *_: Any) -> None:
    """Write Celery's signal messages without the logging module: the interrupted code may hold its lock."""
    moment = datetime.fromtimestamp(clock.now(), UTC).isoformat()
    line = json.dumps({"timestamp": moment, "event": message, "level": "warning", "logger": "celery.worker"})
    os.write(2, f"{line}\n".encode())


def _apply_level(loglevel: int, **_: Any) -> None:
    """Do what Celery does besides configuring handlers: apply the level, and redirect printed output."""
    root = logging.getLogger()
    root.setLevel(loglevel)
    reduce_log_level(root)
    current_app.log.redirect_stdouts("WARNING")  # type: ignore[arg-type] # Celery passes the level's name to its processes


def flush_metrics(**_: Any) -> None:
    """Write the metrics of this process before it ends: processes of a pool exit without running atexit handlers."""
    engine = getattr(current_app, "engine", None)
    if engine:
        engine.metrics.flush()


def add_worker_parts(celery: OperationsCelery) -> None:
    """Add the background threads and signal handlers to every worker of this app.

    They are connected here and not at import, because signals reach every Celery app of a process: a program that
    imports part of the service must keep its own workers unchanged.
    """
    celery.steps["worker"].add(BackgroundThreads)
    celery.steps["consumer"].add(Backpressure)
    signals.worker_init.connect(register)
    signals.worker_process_init.connect(end_with_worker)
    signals.worker_process_init.connect(restrict_soft_limits)
    signals.worker_process_init.connect(freeze_objects)
    signals.worker_ready.connect(freeze_objects)
    signals.after_setup_logger.connect(reduce_log_level)
    signals.worker_process_shutdown.connect(flush_metrics)
    signals.worker_shutdown.connect(flush_metrics)
