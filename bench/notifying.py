"""Notifications to an endpoint that fails half the time, while the worker that delivers them is killed."""

from __future__ import annotations

import base64
import os
import random
import secrets
import signal
import time
from typing import TYPE_CHECKING

from sqlalchemy import text

from bench.endpoint import Taker, taking
from bench.figure import Figure, Spread, at_most
from bench.programs import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import TextClause

    from bench.bed import Bed
    from bench.service import Service

#: Steps of one operation, each of which tells of its success.
_STEPS = 10
#: What one worker has in hand: what of it had arrived, and was not noted, when it was killed arrives again.
_IN_HAND = 16
_WAITING = text("SELECT count(*) FROM notifications WHERE state <> 'Sent'")
_WRITTEN = text("SELECT count(*) FROM notifications")


def notify(bed: Bed) -> Iterator[Figure]:
    """Run operations whose steps each tell of their success, and kill the worker amid the deliveries."""
    seed, many = random.randrange(2**32), bed.scale.notifications
    taker = Taker(seed)
    with taking(taker) as host:
        os.environ["BENCH_HOOK"] = f"http://{host}/hook"
        os.environ["WEBHOOK_KEY"] = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        with bed.service(webhook_hosts=(host,)) as service:
            written, until_killed, taken = _run(service, taker, many)
    what = f"{many:,} notifications, an endpoint that fails half the time, a worker killed amid them"
    lost, twice = written - len(taker.taken), sum(number > 1 for number in taker.taken.values())
    refused, seconds = taker.refused.total(), Spread.of([taken])
    note = f"seed {seed}; {len(taker.taken):,} of {written:,} arrived, {refused:,} tries failed"
    yield Figure(f"{what}: lost", "notifications", Spread.of([lost]), at_most(0), note=note)
    yield Figure(f"{what}: taken twice", "notifications", Spread.of([twice]), at_most(_IN_HAND))
    yield Figure(f"{what}: until all were delivered", "s", seconds, note="of which 30 s are the lease of the killed")
    yield Figure(f"{what}: tries, until the kill", "a second", Spread.of([until_killed]))


def _run(service: Service, taker: Taker, many: int) -> tuple[int, float, float]:
    """Returns how many were written, tries a second until the kill, and the seconds until all were delivered."""
    worker = service.start_worker()
    begun = time.monotonic()
    ids = service.start_many(many // _STEPS, "bench-told", length=_STEPS)
    until(lambda: len(taker.taken) > many / 3, "a third has been delivered")
    rate = (taker.taken.total() + taker.refused.total()) / (time.monotonic() - begun)
    worker.signal(signal.SIGKILL)
    service.forget(worker)
    service.start_worker("other")
    service.await_all(ids)
    until(lambda: _count(service, _WAITING) == 0, "all are delivered", pause=0.1, seconds=900)
    return _count(service, _WRITTEN), rate, time.monotonic() - begun


def _count(service: Service, query: TextClause) -> int:
    with service.database.glance() as tx:
        return int(tx.execute(query).scalar_one())
