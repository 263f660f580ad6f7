"""Celery's signals and the hooks of a task fire for every step, also inside a slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.databases import both_when_long
from tests.execution.flows import lines_of

if TYPE_CHECKING:
    from tests.execution.service import Service


database_kind = both_when_long()


def test_signals_and_hooks_fire_for_every_step_of_a_slice_in_order(service: Service) -> None:
    file = service.path()

    operation = service.start("hooked", file=file, endings=["success", "success"])
    service.ended(operation)

    id_, other = (service.task_id(operation, slug) for slug in ("hooked-1", "hooked-2"))
    first = [
        f"task_prerun {id_}",
        "before_start 0",
        "on_success 1",
        f"task_success {id_}",
        "after_return SUCCESS",
        f"task_postrun {id_}",
    ]
    second = [line.replace(id_, other).replace("on_success 1", "on_success 2") for line in first]
    assert lines_of(file) == first + second


def test_signals_and_hooks_tell_of_a_failure(service: Service) -> None:
    file = service.path()

    operation = service.start("hooked", file=file, endings=["failure"])
    service.ended(operation)

    id_ = service.task_id(operation, "hooked")
    assert lines_of(file) == [
        f"task_prerun {id_}",
        "before_start 0",
        "on_failure no such number",
        f"task_failure {id_}",
        "after_return FAILURE",
        f"task_postrun {id_}",
    ]


def test_signals_and_hooks_tell_of_a_retry(service: Service) -> None:
    file = service.path()

    operation = service.start("hooked", file=file, endings=["retry"])
    service.ended(operation)

    id_ = service.task_id(operation, "hooked")
    told = [line.replace(f" {id_}", "") for line in lines_of(file)]
    again = ["task_prerun", "before_start 1", "on_success 1", "task_success", "after_return SUCCESS", "task_postrun"]
    assert told == ["task_prerun", "before_start 0", "on_retry", "task_retry", "task_postrun", *again]
