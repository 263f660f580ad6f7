"""What tests of pausing do with a real worker: wait until a workflow is paused, resume it, count its messages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import redis
from celery import Celery, chain, signature
from celery.app import app_or_default

from pausable.canvas.tappable import tappable
from tests.execution import pause_app
from tests.programs import end

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery.canvas import Signature

DEADLINE = 60.0


@dataclass
class Pausing:
    """One workflow that is paused and resumed; its marks are lists in Redis under a key of its own."""

    app: Celery
    client: redis.Redis
    key: str

    def clause(self, *asks: int) -> Signature[Any]:
        """A clause that says to pause at these asks, counted from 1."""
        return pause_app.due.s(self.key, list(asks))

    @property
    def callback(self) -> Signature[Any]:
        return pause_app.keep.s(self.key)

    @property
    def errback(self) -> Signature[Any]:
        return pause_app.note.s(self.key)

    def tappable(self, canvas: Any, *asks: int, nth: int = 1) -> Any:
        return tappable(canvas, self.clause(*asks), self.callback, nth)

    def paused(self) -> tuple[Any, list[dict[str, Any]]]:
        """Wait for the callback; the value and the remaining signatures it was given."""
        retval, remaining = self.next_mark("paused")
        return retval, remaining

    def resume(self, retval: Any, remaining: list[dict[str, Any]]) -> Any:
        """Go on as bare Celery does."""
        links: Any = (signature(link) for link in remaining)
        return chain(links)(retval)

    def resume_until_ready(self, result: Any) -> None:
        """Resume at every pause until the result is there."""
        until = monotonic() + DEADLINE
        while not result.ready():
            assert monotonic() < until, "no result came"
            if self.client.llen(f"{self.key}:paused"):
                self.resume(*self.paused())

    def next_mark(self, name: str) -> Any:
        """Take the oldest mark of that name, waiting for it."""
        taken = self.client.blpop([f"{self.key}:{name}"], timeout=DEADLINE)
        assert taken is not None, f"no mark {name!r} came"
        return json.loads(taken[1])

    def marks(self, name: str) -> list[Any]:
        """All marks of that name, oldest first."""
        return [json.loads(mark) for mark in self.client.lrange(f"{self.key}:{name}", 0, -1)]

    def wait_for_marks(self, name: str, count: int) -> None:
        until = monotonic() + DEADLINE
        while len(self.marks(name)) < count:
            assert monotonic() < until, f"fewer than {count} marks {name!r} came"

    def sent(self) -> int:
        """How many messages were ever put into a queue of this broker."""
        return int(self.client.info("commandstats").get("cmdstat_lpush", {"calls": 0})["calls"])


def value_of(result: Any) -> Any:
    """The result, waited for."""
    return result.get(timeout=DEADLINE, interval=0.01)


def in_database(broker_url: str, number: int) -> str:
    return f"{broker_url.rsplit('/', 1)[0]}/{number}"


@contextmanager
def working(broker_url: str, pool: str = "solo", **settings: Any) -> Iterator[Celery]:
    """Run a worker in a process of its own; the app is the same as the worker's."""
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "CRITICAL"]
    command = [sys.executable, "-m", "celery", "-A", pause_app.__name__, "worker", "--pool", pool, "-c", "1", *quiet]
    arguments = json.dumps({"broker_url": broker_url, **settings})
    worker = subprocess.Popen(command, env={**os.environ, "PAUSE_APP": arguments})
    celery = pause_app.make_app(broker_url, **settings)
    try:
        yield celery
    finally:
        # A result that were collected after the broker has ended would try to unsubscribe from it for half a minute.
        results: Any = celery.backend
        results.result_consumer.subscribed_to.clear()
        results.result_consumer.stop()
        celery.close()
        end(worker)


@contextmanager
def at_work(celery: Celery) -> Iterator[Pausing]:
    """Make this app the one that new signatures belong to, and hand out a workflow's worth of marks."""
    before = app_or_default()
    celery.set_current()
    with redis.Redis.from_url(celery.conf.broker_url, socket_timeout=2 * DEADLINE) as client:
        yield Pausing(celery, client, uuid4().hex)
    before.set_current()
