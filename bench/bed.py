"""The test bed: a folder, a broker, and what figures run on them; all of it is gone when the bench has ended."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis import Redis

from app.supervisor.broker import free_port, prepare_broker
from bench.baseline import Plain
from bench.programs import Program
from bench.service import Service, clean_environ, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.scale import Scale

_DATABASES = 14  # the broker has 16: two are plain Celery's
_PLAIN_BROKER, _PLAIN_RESULTS = 14, 15


class Bed:
    """What every figure is given: how much to measure, and where."""

    def __init__(self, scale: Scale, folder: Path, broker: Program, broker_url: str) -> None:
        self.scale = scale
        self.folder = folder
        self.broker = broker
        self.broker_url = broker_url
        self.redis = Redis.from_url(broker_url)
        self._numbers = count()

    def service(self, **settings: Any) -> Service:
        """A service of its own, with an empty database and an empty queue; enter it."""
        number = next(self._numbers)
        place = self.folder / f"service-{number}"
        url = self._url(number % _DATABASES)
        with Redis.from_url(url) as queue:
            queue.flushdb()
        return Service(settings_of(place, url, free_port(), **settings))

    def plain(self) -> Plain:
        """Plain Celery on the same broker; enter it."""
        return Plain(self.folder, clean_environ(), (self._url(_PLAIN_BROKER), self._url(_PLAIN_RESULTS)))

    def pushes(self) -> int:
        """How many messages the broker has been given so far."""
        facts: dict[str, Any] = self.redis.info("commandstats")
        return int(facts.get("cmdstat_lpush", {}).get("calls", 0))

    def _url(self, number: int) -> str:
        return f"{self.broker_url.rpartition('/')[0]}/{number}"


@contextmanager
def bed(scale: Scale) -> Iterator[Bed]:
    """A bed in a new temporary folder, with the broker that `make run` would start."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        embedded = prepare_broker(folder)
        with Program(embedded.command, dict(os.environ), folder, "broker") as broker:
            broker.await_that(embedded.answers, "the broker answers")
            yield Bed(scale, folder, broker, embedded.url)
