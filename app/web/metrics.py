"""What the service tells Prometheus: counts of the tables and of the broker as they are, and what processes counted."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, cast

from flask import Response, current_app
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from app import clock
from app.execution import tallying
from app.execution.queue_depth import QueueDepths
from app.store.notifications import count_notifications
from app.store.tallies import Tally, count_operations, count_steps, count_unfinished, count_workers, list_tallies
from app.web.auth import demand_token
from app.web.describing import api
from app.web.reading import reads_request

if TYPE_CHECKING:
    from app.execution.engine import Engine

#: A worker that has not beaten for so many seconds is not alive.
_RECENTLY: Final = 30.0
#: What was counted serves for so many seconds, and for so many times as long as it took to count.
_FRESH_FOR: Final = 5.0
_REST: Final = 20.0
_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_TEXT: dict[str, Any] = {"description": "Prometheus text", "content": {"text/plain": {"schema": {"type": "string"}}}}

metrics = api("metrics", "Figures for those who watch over the service.")
metrics.before_request(demand_token)


@metrics.get("/metrics", responses={200: _TEXT})
@reads_request
def show_metrics() -> Response:
    """Give the figures of the whole service in the text format of Prometheus."""
    registry = cast("CollectorRegistry", current_app.extensions["metrics"])
    return current_app.response_class(generate_latest(registry), content_type=_TYPE)


def make_metrics(engine: Engine) -> CollectorRegistry:
    """What the figures of this service are collected from."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(engine))
    return registry


class _Figures:
    """Looks at everything when it is asked, at the most once in five seconds and in a twentieth of the time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queues = QueueDepths(engine)
        self._looking = threading.Lock()
        self._found: list[Metric] = []
        self._until = float("-inf")

    def collect(self) -> Iterable[Metric]:
        """All figures; those of queues are left out while the broker is silent."""
        with self._looking:
            began = clock.monotonic()
            if began >= self._until:
                self._found = list(_of_the_tables(self._engine))
                took = clock.monotonic() - began
                self._until = began + took + max(_FRESH_FOR, _REST * took)
        depths = self._queues.depths()
        yield from self._found
        yield _gauge("operations_queue_messages", "Messages that wait at the broker.", ("queue",), depths.items())

    def describe(self) -> Iterable[Metric]:
        """Nothing: to be registered, no figure is looked at."""
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
        counted = list_tallies(tx)
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
