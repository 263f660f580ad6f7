"""What the main process of a worker learns of a delivery whose process dies: its sweeper acts on it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.worker.request import Request

from app.execution.celery_app import this_engine

if TYPE_CHECKING:
    from app.execution.recovery import Recovery


class Delivery(Request):
    """One delivery of a slice, as the worker's main process sees it."""

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Note which step is about to be killed for its time limit; the sweeper ends it once its process is gone."""
        if not soft and self.recovery:
            operation_id, number = self.args
            self.recovery.note_time_limit(operation_id, number, int(self.worker_pid or 0), timeout)
        super().on_timeout(soft, timeout)
        this_engine().wake_sweeper()

    def on_failure(self, exc_info: Any, *args: Any, **options: Any) -> Any:
        """Have the sweeper look at once: the process may have died with a step in its hands."""
        this_engine().wake_sweeper()
        return super().on_failure(exc_info, *args, **options)

    @property
    def recovery(self) -> Recovery | None:
        """The recovery of this worker."""
        return this_engine().incarnation.recovery
