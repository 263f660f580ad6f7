"""What the main process of a worker knows of its deliveries: which processes run them, and that one has died."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from celery.worker import state
from celery.worker.request import Request

from app.execution.celery_app import this_engine

if TYPE_CHECKING:
    from app.execution.recovering import Recoverer


class Delivery(Request):
    """One delivery of a slice, as the worker's main process sees it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        with _adding:  # before it is given to the pool, and so before anything can be claimed by it
            _taken.add(self)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Note which step is about to be killed for its time limit; recovery ends it once its process is gone."""
        recoverer = self.recoverer
        if not soft and recoverer:
            operation_id, number = self.args
            recoverer.recovery.note_time_limit(operation_id, number, int(self.worker_pid or 0), timeout)
        super().on_timeout(soft, timeout)
        if recoverer:
            recoverer.call()

    def on_failure(self, exc_info: Any, *args: Any, **options: Any) -> Any:
        """Have recovery look at once: the process may have died with a step in its hands."""
        if self.recoverer:
            self.recoverer.call()
        return super().on_failure(exc_info, *args, **options)

    @property
    def recoverer(self) -> Recoverer | None:
        """What recovers in this worker."""
        return this_engine().incarnation.recoverer


#: The deliveries that this worker has taken; those that have ended are nobody's any more and go by themselves.
_taken: WeakSet[Delivery] = WeakSet()
_adding = threading.Lock()


def forget(delivery: object) -> None:
    """Count a delivery as taken no more: the broker has it again."""
    with _adding:
        _taken.discard(delivery)  # type: ignore[arg-type] # those of other tasks are not in it


def is_at_work(process: int, operation_id: int) -> bool:
    """Whether a process of this worker runs a slice of that operation, or may be about to.

    A delivery counts from the moment it is taken from the broker until the pool has told that it ended: its process is
    known once the pool has told that it began.
    """
    with _adding:
        taken = list(_taken)
    return any(_is_of(one, process) for one in taken if one.args and one.args[0] == operation_id)


def _is_of(delivery: Delivery, process: int) -> bool:
    if delivery.worker_pid is None:
        return True
    return int(delivery.worker_pid) == process and delivery in state.active_requests
