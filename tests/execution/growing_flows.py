"""Flows whose steps put others in their own place, and run again because of what failed before or beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celery import chain, group

from pausable import Flow, step, workflow
from tests.execution.graph_flows import add, fan_out, give, wait_for


@step
def fails_until(file: str) -> int:
    """Fail until the file is there."""
    if not Path(file).exists():
        raise ValueError("not yet")
    return 1


@step(bind=True, trigger="all_finished")
def grow_anyway(self: Any, file: str, first: Any, then: Any) -> Any:
    """Put one canvas in its place at the first time, and another once the file is there."""
    chosen = then if Path(file).exists() else first
    if chosen == "plain":
        return 7
    if chosen == "deep":
        return self.replace(chain(give.s(2), fan_out.s()))
    return self.replace(group(add.s(number, 1) for number in range(chosen)))


@step(trigger="all_finished")
def collect(value: Any) -> Any:
    return value


@step(bind=True)
def grow_and_fail(self: Any, file: str) -> Any:
    return self.replace(chain(give.s(5), fails_until.si(file)))


@step
def note(_request: Any, _error: Any, _traceback: Any, file: str) -> None:
    with Path(file).open("a") as told:
        told.write("told\n")


@workflow("regrows")
def regrows(file: str, first: Any, then: Any) -> Any:
    """A step that grows whatever became of the one before it, and one that is given the value."""
    flow = Flow()
    before = flow.add(fails_until.s(file))
    grown = flow.add(grow_anyway.s(file, first, then), upstream=[before])
    flow.add(collect.s(grown), name="end")
    flow.add(give.s(before), name="other")
    return flow


@workflow("grows-beside-a-failure")
def grows_beside_a_failure(file: str, go: str) -> Any:
    """A step that fails, and beside it one that grows only then."""
    return group(fails_until.s(file), chain(wait_for.s(go), fan_out.si(2))) | give.s()


@workflow("grows-and-fails")
def grows_and_fails(file: str, told: str) -> Any:
    """A step with an error callback whose place is taken by one that fails."""
    return grow_and_fail.s(file).on_error(note.s(told)) | give.s()


@workflow("grows-into-a-name")
def grows_into_a_name() -> Any:
    """A step whose name is that of one which another puts in its place."""
    flow = Flow()
    flow.add(fan_out.s(1), name="fan")
    flow.add(give.s(3), name="fan.add")
    return flow
