"""Operations that stand wherever one can, brought there by what people and workers do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pausable.engine.claim import claim
from pausable.model.states import Completion

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.service import Service


def scheduled(service: Service) -> int:
    return service.start("adding", numbers=[1, 2, 3])


def running(service: Service) -> int:
    operation = scheduled(service)
    claim(service.engine, operation, 0)
    return operation


def queued(service: Service) -> int:
    operation = scheduled(service)
    service.deliver()
    return operation


def retrying(service: Service) -> int:
    operation = service.start("retrying", kind="later")
    service.deliver_all()
    return operation


def failed_beside_one_that_runs(service: Service) -> int:
    operation = service.start("failing-beside", gate=service.path())
    service.deliver()
    numbers = {slug: step.number for slug, step in service.steps(operation).items()}
    claim(service.engine, operation, numbers["wait_at"])
    service.deliver_step(operation, numbers["fail"])
    return operation


def pausing(service: Service) -> int:
    operation = running(service)
    service.pause(operation)
    return operation


def held_beside_one_that_runs(service: Service) -> int:
    operation = service.start("held-beside", ledger=service.path(), gate=service.path())
    service.deliver()
    claim(service.engine, operation, 1)
    service.deliver_step(operation, 2)
    return operation


def kept_by_the_disk(service: Service) -> int:
    operation = queued(service)
    service.settings.workflow_store.touch()
    service.pause(operation)
    return operation


def kept_until_now(service: Service) -> int:
    operation = kept_by_the_disk(service)
    service.settings.workflow_store.unlink()
    return operation


def paused(service: Service) -> int:
    operation = queued(service)
    service.pause(operation)
    return operation


def paused_without_its_document(service: Service) -> int:
    operation = paused(service)
    Path(str(service.show(operation).workflow_store)).unlink()
    return operation


def cancelling(service: Service) -> int:
    operation = running(service)
    service.cancel(operation)
    return operation


def cancelled(service: Service) -> int:
    operation = queued(service)
    service.cancel(operation)
    return operation


def completed(service: Service) -> int:
    operation = scheduled(service)
    service.deliver_all()
    return operation


def failed(service: Service) -> int:
    operation = service.start("failing")
    service.deliver_all()
    return operation


def retried(service: Service) -> int:
    operation = failed(service)
    service.retry(operation)
    return operation


#: Where each of them stands.
STANDINGS: dict[Callable[[Service], int], Completion] = {
    scheduled: Completion.SCHEDULED,
    running: Completion.IN_PROGRESS,
    queued: Completion.IN_PROGRESS,
    retrying: Completion.IN_PROGRESS,
    failed_beside_one_that_runs: Completion.IN_PROGRESS,
    pausing: Completion.REQUESTING_PAUSE,
    held_beside_one_that_runs: Completion.REQUESTING_PAUSE,
    kept_by_the_disk: Completion.REQUESTING_PAUSE,
    kept_until_now: Completion.REQUESTING_PAUSE,
    paused: Completion.PAUSED,
    paused_without_its_document: Completion.PAUSED,
    cancelling: Completion.REQUESTING_CANCEL,
    cancelled: Completion.CANCELLED,
    completed: Completion.COMPLETED,
    failed: Completion.FAILED,
    retried: Completion.IN_PROGRESS,
}
