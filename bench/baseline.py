"""The plain Celery worker that figures are compared with, and the client that drives it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Self

from celery import chain, group
from celery.exceptions import TimeoutError
from redis import Redis

from bench import plain
from bench.programs import Program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_COMMAND = ("-m", "celery", "--quiet", "-A", "bench.plain", "worker", "--concurrency", "2", "--loglevel", "WARNING")
_PATIENCE = 120.0  # seconds that one result may take
_LOOK = 0.25  # seconds after which one is asked for again
_WARM = 40


class Plain:
    """Plain Celery with two worker processes, ready and warm."""

    def __init__(self, folder: Path, environ: Mapping[str, str], urls: tuple[str, str]) -> None:
        broker, results = urls
        plain.app.conf.update(broker_url=broker, result_backend=results)
        self._results = Redis.from_url(results)
        environ = {**environ, "PLAIN_BROKER_URL": broker, "PLAIN_RESULTS_URL": results}
        self.worker = Program((sys.executable, *_COMMAND), environ, folder, "plain")

    def __enter__(self) -> Self:
        try:
            self.chain_rate(_WARM)
        except BaseException:
            self.worker.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.end()
        self._results.close()

    def chain_rate(self, operations: int) -> float:
        """Chains of five steps that do nothing, per second."""
        return self._rate([_five() for _ in range(operations)], expected=1)

    def fan_rate(self, operations: int) -> float:
        """1 → group of 10 → 1 (a chord), per second."""
        canvases = [
            plain.noop.s(1) | group(plain.add.s(n) for n in range(10)) | plain.noop.s() for _ in range(operations)
        ]
        return self._rate(canvases, expected=[1 + n for n in range(10)])

    def latency(self) -> float:
        """Milliseconds from the call that starts one chain of five steps to its result."""
        canvas = _five()
        begun = time.perf_counter()
        _value(canvas.apply_async())
        return 1000 * (time.perf_counter() - begun)

    def _rate(self, canvases: list[Any], expected: Any) -> float:
        begun = time.perf_counter()
        started = [canvas.apply_async() for canvas in canvases]
        values = [_value(result) for result in started]
        taken = time.perf_counter() - begun
        assert values == [expected] * len(canvases), "plain Celery gave a wrong result"
        self._results.flushdb()
        return len(canvases) / taken


def _value(result: Any) -> Any:
    """A result, once it is there.

    A result that is written between Celery's look for it and its subscription is never told of: so look again.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return result.get(timeout=_LOOK)
        except TimeoutError:
            if time.monotonic() > deadline:
                raise


def _five() -> Any:
    return chain(plain.noop.s(1), *(plain.noop.s() for _ in range(4)))
