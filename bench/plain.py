"""Plain Celery, what the service is compared with: a Redis broker, Redis results, and every setting its default."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

app = Celery("plain", broker=os.environ.get("PLAIN_BROKER_URL"), backend=os.environ.get("PLAIN_RESULTS_URL"))


@app.task
def noop(value: Any = None) -> Any:
    """Nothing."""
    return value


@app.task
def add(value: int, other: int) -> int:
    """Next to nothing."""
    return value + other
