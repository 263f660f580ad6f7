"""Plain Celery, what the service is compared with: a Redis broker, Redis results, and every setting its default."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, signals

from pausable.processes import tied_to

app = Celery("plain", broker=os.environ.get("PLAIN_BROKER_URL"), backend=os.environ.get("PLAIN_RESULTS_URL"))


@signals.worker_init.connect
def tie_the_pool(**_: Any) -> None:
    """Let no process of the pool outlive its worker: one that goes on with a chain waits for a lost broker for ever."""
    tie = tied_to(os.getpid())
    signals.worker_process_init.connect(lambda **_: tie(), weak=False)


@app.task
def noop(value: Any = None) -> Any:
    """Nothing."""
    return value


@app.task
def add(value: int, other: int) -> int:
    """Next to nothing."""
    return value + other
