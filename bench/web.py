"""Requests per second over HTTP, on the web server that `make run` starts, with its worker beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.figure import Figure, Spread, at_least, at_most, percentile
from bench.http import load, request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.bed import Bed
    from bench.http import Outcome
    from bench.service import Service

_WARM = 100
_START = request("POST", "/operations", {"workflow": "bench-chain", "arguments": {"length": 5}})


def http(bed: Bed) -> Iterator[Figure]:
    """Starting operations, and polling where one stands."""
    scale = bed.scale
    with bed.service() as service:
        service.start_web()
        load(service.settings.port, _WARM, scale.connections, lambda _: _START)
        alone = [_posts(bed, service) for _ in range(scale.rounds)]
        service.start_worker()  # it first runs all that was started without it
        posts = [_posts(bed, service, wait=True) for _ in range(scale.rounds)]
        ids = service.start_many(100)
        service.await_all(ids)
        paths = [request("GET", f"/operations/{one}/status") for one in ids]
        polls = [_polls(bed, service, paths) for _ in range(scale.rounds)]
    yield from _figures("POST /operations, a worker running them meanwhile", posts, 300)
    yield from _figures("POST /operations, no worker running", alone, None)
    yield from _figures("GET /operations/<id>/status", polls, 1000)


def _posts(bed: Bed, service: Service, *, wait: bool = False) -> Outcome:
    scale = bed.scale
    outcome = load(service.settings.port, scale.posts, scale.connections, lambda _: _START)
    assert set(outcome.statuses) == {202}, f"unexpected statuses: {outcome.statuses}"
    if wait:
        newest = service.commands.list(service.user, limit=1)[0].id
        service.await_all([newest - len(outcome.taken) + 1, newest])
    return outcome


def _polls(bed: Bed, service: Service, paths: list[bytes]) -> Outcome:
    scale = bed.scale
    outcome = load(service.settings.port, scale.polls, scale.connections, lambda n: paths[n % len(paths)])
    assert set(outcome.statuses) == {200}, f"unexpected statuses: {outcome.statuses}"
    return outcome


def _figures(what: str, outcomes: list[Outcome], wanted: float | None) -> Iterator[Figure]:
    rates = Spread.of(one.rate for one in outcomes)
    slowest = Spread.of(1000 * percentile(one.taken, 0.99) for one in outcomes)
    yield Figure(what, "requests/s", rates, at_least(wanted) if wanted else None)
    yield Figure(f"{what}: 99th percentile", "ms", slowest, at_most(50) if wanted else None)
