"""What a Celery worker does for operations beside running slices, from its start to its end."""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from celery import bootsteps, current_app, signals
from celery.apps import worker as celery_worker
from celery.worker.control import control_command

from pausable import clock
from pausable.engine.engine import WakeUp
from pausable.engine.errands import Errands
from pausable.engine.limits import process_settings, take_over
from pausable.errors import DatabaseBehind, HardLimitNeedsPrefork, SecretMissing
from pausable.processes import tied_to
from pausable.secrets import Secret
from pausable.worker.consumer import Intake
from pausable.worker.heartbeat import Heartbeat
from pausable.worker.notifier import Notifier
from pausable.worker.recovery import BrokerWatchdog, RecoveryThread, is_at_work
from pausable.worker.shutdown import Shutdown
from pausable.worker.sweeper import Sweeper

if TYPE_CHECKING:
    from pausable.engine.celery_app import OperationsCelery
    from pausable.engine.engine import Engine

_log = logging.getLogger(__name__)


class Attendance(bootsteps.StartStopStep):
    """A step of the worker's start: its heart beats and it sweeps until the very end, while its pool finishes."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        refuse_hard_limits(parent.app, parent.pool_cls.__module__.rpartition(".")[2])

    def start(self, parent: Any) -> None:
        """Begin with the worker."""
        engine = parent.app.engine
        heart = Heartbeat(engine, lambda: list(parent.app.amqp.queues.consume_from))
        departure = Shutdown(engine)
        queues = parent.app.amqp.queues.consume_from
        attention = BrokerWatchdog(engine, queues, lambda: _is_connected(parent))
        errands = engine.incarnation.errands = Errands(engine.database)
        recoverer = engine.incarnation.recoverer = RecoveryThread(engine, attention, is_at_work)
        sweeper = Sweeper(engine)
        courier = engine.incarnation.courier = Notifier(engine)
        for sentence in missing_secrets(engine):
            _log.warning("a notification cannot be sent: %s", sentence)
        for part in (heart, recoverer, sweeper, departure, courier):
            part.start()

        def leave(**_: Any) -> None:
            departure.begin()
            courier.leave()

        def end(**_: Any) -> None:
            departure.end()
            courier.stop()
            heart.stop()
            errands.stop()
            recoverer.stop()
            sweeper.stop()

        signals.worker_shutting_down.connect(leave, weak=False)
        signals.worker_shutdown.connect(end, weak=False)


def _is_connected(worker: Any) -> bool:
    return bool(worker.consumer and worker.consumer.connection)


def missing_secrets(engine: Engine) -> list[str]:
    """A sentence for each secret that a notification goes to and that this worker cannot find: it would not be sent."""
    secrets = {one.to.name: one.to for one in engine.policies.notifications() if isinstance(one.to, Secret)}
    found = []
    for secret in secrets.values():
        try:
            secret.get()
        except SecretMissing as why:
            found.append(str(why))
    return found


def refuse_hard_limits(celery: Any, pool: str) -> None:
    """Raise HardLimitNeedsPrefork when a task has a hard time limit that this pool cannot keep: it kills nothing."""
    limited = [name for name, task in celery.tasks.items() if getattr(task, "time_limit", None)]
    if pool != "prefork" and limited:
        raise HardLimitNeedsPrefork(pool, sorted(limited))


def refuse_another_schema(engine: Engine) -> None:
    """End the program with one sentence where the database is empty or not at the newest migration.

    A database that cannot be asked now may answer later: the worker starts, and registers when it can.
    """
    from pausable.db.migrations import is_current  # it loads Alembic, which nothing else in a worker needs

    with suppress(Exception):
        if not is_current(engine.database):
            raise SystemExit(str(DatabaseBehind()))


def register(sender: Any, **_: Any) -> None:
    """Enter the worker in the table before its pool is forked: the processes of the pool belong to it too.

    Where the database does not let it, its heart does so later; until then it claims nothing.
    """
    engine = getattr(sender.app, "engine", None)
    if engine is None:
        return
    refuse_another_schema(engine)
    engine.attend(WakeUp())
    try:
        engine.register(list(sender.app.amqp.queues.consume_from))
    except Exception as why:
        _log.warning("this worker is not in the table yet, and claims nothing until it is: %s", type(why).__name__)
    process_settings.begin()


@control_command()
def wake_sweeper(state: Any, **_: Any) -> None:
    """Look at what is due: another program has written something that is, sooner than the next look."""
    engine = getattr(state.app, "engine", None)
    if engine:
        engine.wake_sweeper()


def die_with_the_worker(**_: Any) -> None:
    """Let no process of the pool outlive its worker: nobody would tell that it lives, nor hand back what it holds."""
    engine = getattr(current_app, "engine", None)
    if engine and engine.incarnation.pid not in (None, os.getpid()):  # the pool `solo` is the worker itself
        tied_to(engine.incarnation.pid)()


def limit_softly(**_: Any) -> None:
    """Let a soft time limit interrupt nothing but an author's code in this process of the pool."""
    take_over()


def quieten(logger: logging.Logger, **_: Any) -> None:
    """Log no line for each delivery and each step, unless all is wanted: they hold results, and the table has them."""
    if logger.level > logging.DEBUG:
        for name in ("celery.app.trace", "celery.worker.strategy"):
            logging.getLogger(name).setLevel(max(logger.level, logging.WARNING))


def keep_log() -> None:
    """Let every worker of this process log as was set up before it started, and not as Celery would."""
    signals.setup_logging.connect(_kept, weak=False, dispatch_uid="keep-log")
    vars(celery_worker)["safe_say"] = _say_safely


def _say_safely(message: str, *_: Any) -> None:
    """Say what Celery says past all logging: a signal has come, and whom it interrupted may hold the log's lock."""
    moment = datetime.fromtimestamp(clock.now(), UTC).isoformat()
    line = json.dumps({"timestamp": moment, "event": message, "level": "warning", "logger": "celery.worker"})
    os.write(2, f"{line}\n".encode())


def _kept(loglevel: int, **_: Any) -> None:
    """What Celery does beside setting up a log: heed the level, and log what code prints."""
    root = logging.getLogger()
    root.setLevel(loglevel)
    quieten(root)
    current_app.log.redirect_stdouts("WARNING")  # type: ignore[arg-type] # it passes the name on to its processes


def write_tallies(**_: Any) -> None:
    """Write what this process of a worker has counted, before it ends: the pool's leave without Python's own ending."""
    engine = getattr(current_app, "engine", None)
    if engine:
        engine.tallies.flush()


def equip(celery: OperationsCelery) -> None:
    """Make every worker of this app attend to all operations.

    The handlers are connected here and not where they are defined: signals reach every Celery app of a process, and a
    program that only imports a part of the service must keep its own workers as they are.
    """
    celery.steps["worker"].add(Attendance)
    celery.steps["consumer"].add(Intake)
    signals.worker_init.connect(register)
    signals.worker_process_init.connect(die_with_the_worker)
    signals.worker_process_init.connect(limit_softly)
    signals.after_setup_logger.connect(quieten)
    signals.worker_process_shutdown.connect(write_tallies)
    signals.worker_shutdown.connect(write_tallies)
