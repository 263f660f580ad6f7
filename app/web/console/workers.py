"""The page of workers and queues: who is there, what each runs, what waits, and what was done in the last hour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from flask import current_app, render_template, url_for

from pausable import clock
from pausable.db.statements import COUNTED
from pausable.db.workers import Worker
from pausable.service.pages import STEPS_OF_A_WORKER, Backlog, Workload, workload

from ..auth import commands, requester
from .charts import HEIGHT, chart
from .pages import console

#: The lines of the marks of workers: how one is, is never told by colour alone.
_MARKS: Final = {
    "alive": "M3 8.5l3.5 3.5L13 4.5",
    "silent": "M3 8h.01M8 8h.01M13 8h.01",
    "lost": "M4 4l8 8M12 4l-8 8",
    "stopped": "M4.5 4.5h7v7h-7z",
}


@console.get("/workers")
def show_workers() -> str:
    """Show the workers and what waits for them."""
    stream = url_for("console.stream_workers", who=requester().id)
    return render_template("console/workers.html", stream=stream, **at_work(backlog().by_queue()))


def backlog() -> Backlog:
    """Whom all ask how many messages wait."""
    return cast("Backlog", current_app.extensions["backlog"])


def at_work(messages: Mapping[str, int]) -> dict[str, Any]:
    """What the page shows, while so many messages wait in each queue."""
    found = workload(commands().engine, requester(), messages)
    return {"found": found, **_words(found)}


def _words(found: Workload) -> dict[str, Any]:
    first, now, lease = found.first_minute, clock.now(), commands().engine.lease
    return {
        "state": lambda worker: cast("Worker", worker).state(now, lease),
        "marks": _MARKS,
        "now": now,
        "lease": lease,
        "most": COUNTED,
        "named": STEPS_OF_A_WORKER,
        "height": HEIGHT,
        "charts": (
            ("steps", "Steps finished", chart(found.steps_a_minute, first)),
            ("operations", "Operations finished", chart(found.operations_a_minute, first)),
        ),
        "minutes": list(_minutes(found)),
    }


def _minutes(found: Workload) -> Iterator[tuple[float, int, int]]:
    """The minutes in which anything ended, the latest first: when each began, and how many steps and operations."""
    pairs = list(zip(found.steps_a_minute, found.operations_a_minute, strict=True))
    for number in reversed(range(len(pairs))):
        if any(pairs[number]):
            yield 60.0 * (found.first_minute + number), *pairs[number]
