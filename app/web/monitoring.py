"""Health, readiness and metrics over HTTP."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from flask import Response, current_app
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from pausable import clock
from pausable.db.migrations import is_current
from pausable.db.outbox import count_notifications
from pausable.db.stats import Tally, count_operations, count_steps, count_unfinished, count_workers, list_metrics
from pausable.db.workers import last_seen
from pausable.engine import metrics as tallying
from pausable.engine.dispatch import QueueDepths, reach_broker
from pausable.errors import NotReady

from . import answers
from .auth import demand_token
from .openapi import api, problems
from .requests import reads_request
from .responses import answer

if TYPE_CHECKING:
    from pausable.engine.engine import Engine

#: A worker beats every two seconds; one not seen for so many seconds does not count.
_RECENTLY: Final = 30.0
#: Seconds for which one answer serves all requests: it needs no token, and each check costs a connection.
_FRESH_FOR: Final = 1.0
#: Seconds after which an unfinished check counts as failed, since the caller has a deadline too.
_PATIENCE: Final = 3.0
#: Minimum free bytes on the disk of an SQLite database: a transaction may need some MiB.
_FREE: Final = 4 * 1024 * 1024

Checks = Mapping[str, Mapping[str, Any]]
_log = logging.getLogger(__name__)


class Readiness:
    """Checks everything, at most once per second."""

    def __init__(self, engine: Engine, patience: float = _PATIENCE, fresh_for: float = _FRESH_FOR) -> None:
        self._engine = engine
        self._patience = patience
        self._fresh_for = fresh_for
        self._asking = threading.Lock()
        self._look: _Look | None = None

    def checks(self) -> Checks:
        """Return for each part whether it is `ok`, and a public `detail`, within `patience` seconds."""
        with self._asking:
            if self._look is None or self._look.is_stale:
                self._look = _Look(self._engine, self._fresh_for)
                self._look.start()
            look = self._look
        look.done.wait(max(0.0, look.begun + self._patience - clock.monotonic()))
        return {name: look.found.get(name, {"ok": False, "detail": no}) for name, (_, _, no) in _PROBES.items()}


class _Look(threading.Thread):
    """One check of everything in a thread of its own, so that a hanging database delays nothing else."""

    def __init__(self, engine: Engine, fresh_for: float) -> None:
        super().__init__(name="readiness", daemon=True)
        self._engine = engine
        self._fresh_for = fresh_for
        self.begun = clock.monotonic()
        self.done = threading.Event()
        self.found: dict[str, dict[str, Any]] = {}
        self._until = float("inf")

    @property
    def is_stale(self) -> bool:
        """Return whether another check is due."""
        return clock.monotonic() >= self._until

    def run(self) -> None:
        """Check one part after the other, those without the database first."""
        try:
            for name, probe in _PROBES.items():
                self.found[name] = _checked(self._engine, *probe)
        finally:
            self._until = clock.monotonic() + self._fresh_for
            self.done.set()
            self._engine.database.close()


def _checked(engine: Engine, is_there: Callable[[Engine], bool], yes: str, no: str) -> dict[str, Any]:
    try:
        ok = is_there(engine)
    except Exception as why:  # a driver may raise anything, and its text may contain a password
        _log.warning("not ready: %s (%s)", no, type(why).__name__)
        ok = False
    return {"ok": ok, "detail": yes if ok else no}


def _database_answers(engine: Engine) -> bool:
    is_current(engine.database)
    return True


def _migrations_are_current(engine: Engine) -> bool:
    return is_current(engine.database)


def _broker_answers(engine: Engine) -> bool:
    reach_broker(engine)
    return True


def _workers_were_seen(engine: Engine) -> bool:
    with engine.database.glance() as tx:
        seen = last_seen(tx)
    return seen is not None and clock.now() - seen <= _RECENTLY


def _disk_has_room(engine: Engine) -> bool:
    file = engine.database.file
    if file is None:  # the disk of a database server is unknown here
        return True
    disk = os.statvfs(Path(file).absolute().parent)
    return disk.f_bavail * disk.f_frsize >= _FREE


_PROBES: Final[Mapping[str, tuple[Callable[[Engine], bool], str, str]]] = {
    "disk": (_disk_has_room, "has room", "the disk of the database is full"),
    "broker": (_broker_answers, "answers", "does not answer within a second, or takes no messages"),
    "database": (_database_answers, "answers", "does not answer"),
    "migrations": (_migrations_are_current, "the schema is the present one", "the schema is not the present one"),
    "workers": (_workers_were_seen, "seen in the last 30 seconds", "none was seen in the last 30 seconds"),
}


health = api("health", "For those who watch over the service; without a token.", needs_token=False)


@health.get("/healthz", responses={200: answers.Health})
def healthz() -> Response:
    """Tell that the web server answers; nothing else is looked at."""
    return answer(answers.Health(status="alive"))


@health.get("/readyz", responses={200: answers.Readiness, **problems(503)})
def readyz() -> Response:
    """Report the state of database, migrations, disk, broker and workers."""
    checks = cast("Readiness", current_app.extensions["readiness"]).checks()
    if not all(check["ok"] for check in checks.values()):
        raise NotReady(checks)
    return answer(answers.Readiness(status="ready", checks=checks))


#: A worker that has not beaten for so many seconds is not alive.
#: What was counted serves for so many seconds, and for so many times as long as it took to count.
_FIGURES_FRESH_FOR: Final = 5.0
_REST: Final = 20.0
_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_TEXT: dict[str, Any] = {"description": "Prometheus text", "content": {"text/plain": {"schema": {"type": "string"}}}}

metrics = api("metrics", "Figures for those who watch over the service.")
metrics.before_request(demand_token)


@metrics.get("/metrics", responses={200: _TEXT})
@reads_request
def show_metrics() -> Response:
    """Return the metrics of the service in the Prometheus text format."""
    registry = cast("CollectorRegistry", current_app.extensions["metrics"])
    return current_app.response_class(generate_latest(registry), content_type=_TYPE)


def make_metrics(engine: Engine) -> CollectorRegistry:
    """Return the registry that collects the metrics of this service."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(engine))
    return registry


class _Figures:
    """Collects metrics on request, at most every five seconds and for at most a twentieth of the time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queues = QueueDepths(engine)
        self._looking = threading.Lock()
        self._found: list[Metric] = []
        self._until = float("-inf")

    def collect(self) -> Iterable[Metric]:
        """Yield all metrics; those of queues are omitted while the broker does not answer."""
        with self._looking:
            began = clock.monotonic()
            if began >= self._until:
                self._found = list(_of_the_tables(self._engine))
                took = clock.monotonic() - began
                self._until = began + took + max(_FIGURES_FRESH_FOR, _REST * took)
        depths = self._queues.depths()
        yield from self._found
        yield _gauge("operations_queue_messages", "Messages that wait at the broker.", ("queue",), depths.items())

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering the collector collects nothing."""
        return ()


def _of_the_tables(engine: Engine) -> Iterator[Metric]:
    now = clock.now()
    with engine.database.read() as tx:
        yield _gauge("operations", "Operations by where they stand.", ("completion",), count_operations(tx).items())
        unfinished = (((completion, workflow), number) for completion, workflow, number in count_unfinished(tx))
        told = "Operations that have not ended, by workflow."
        yield _gauge("operations_unfinished", told, ("completion", "workflow"), unfinished)
        told = "Steps that run, that wait for a worker or a retry, and, of these, that should have been taken by now."
        yield _gauge("operations_steps", told, ("state",), count_steps(tx, now).items())
        workers = count_workers(tx, now - _RECENTLY).items()
        yield _gauge("operations_workers", "Workers seen in the last 30 s, and ever lost.", ("state",), workers)
        notifications = count_notifications(tx).items()
        yield _gauge(
            "operations_notifications", "Notifications that wait, or were given up.", ("state",), notifications
        )
        counted = list_metrics(tx)
    yield from _of_the_tallies(counted)


def _of_the_tallies(counted: list[Tally]) -> Iterator[Metric]:
    by_name = {name: list(rows) for name, rows in groupby(counted, key=lambda row: row.name)}
    finished = CounterMetricFamily(
        "operations_finished", "Operations that have ended, by how.", labels=("completion", "workflow")
    )
    for row in by_name.get(tallying.FINISHED, ()):
        finished.add_metric(row.label.split(" ", 1), row.count)
    yield finished
    for name, told in (
        (tallying.LOSSES, "Steps lost with their worker."),
        (tallying.REPUBLISHED, "Steps published when they were due: after a wait, or again."),
    ):
        yield CounterMetricFamily(f"operations_{name}", told, value=sum(row.count for row in by_name.get(name, ())))
    steps = by_name.get(tallying.STEP_SECONDS, ())
    yield _histogram("operations_step_seconds", "How long the code of a step took.", steps, ("task",))
    pauses = by_name.get(tallying.PAUSE_SECONDS, ())
    yield _histogram("operations_pause_seconds", "From the request of a pause until PAUSED.", pauses, ())


def _gauge(name: str, told: str, labels: tuple[str, ...], values: Iterable[tuple[Any, float]]) -> Metric:
    metric = GaugeMetricFamily(name, told, labels=labels)
    for key, value in values:
        metric.add_metric(key if isinstance(key, tuple) else (str(key),), value)
    return metric


def _histogram(name: str, told: str, rows: Iterable[Tally], labels: tuple[str, ...]) -> Metric:
    metric = HistogramMetricFamily(name, told, labels=labels)
    for label, buckets in groupby(rows, key=lambda row: row.label):
        found = {row.bucket: row for row in buckets}
        metric.add_metric((label,) if labels else (), _cumulated(found), sum(row.total for row in found.values()))
    return metric


def _cumulated(found: dict[int, Tally]) -> list[tuple[str, float]]:
    """What Prometheus calls buckets: each counts all that took no longer."""
    bounds, so_far, cumulated = [*map(str, tallying.BUCKETS), "+Inf"], 0, []
    for number, bound in enumerate(bounds):
        so_far += found[number].count if number in found else 0
        cumulated.append((bound, float(so_far)))
    return cumulated
