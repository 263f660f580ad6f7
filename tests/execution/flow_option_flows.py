"""Workflows that return a flow with options of its own, which the service honours as it does those of `@workflow`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pausable import Canvas, Flow, LocalResult, Notification, State, Subject, signals, states, step, workflow
from tests.execution.announcing_flows import TO, seen


def forgive(_obj: Subject, _old: State, new: State) -> State | None:
    """Turn the failure of an operation into a success that says so."""
    return states.Success("forgiven", "nothing") if new.is_failed() else None


@step
def succeed(value: int = 1) -> int:
    return value


@step
def fail_plainly() -> None:
    raise ConnectionError


@step(target="{operation_id}.json")
def keep(value: int) -> int:
    return value


@workflow("flow-with-options")
def flow_with_options(file: str) -> Flow:
    """A flow whose handlers and notifications are its own."""
    flow = Flow(
        "inner",
        state_handlers=[seen, forgive],
        notify=[Notification("successful", TO, "{workflow}: {state} {message} after " + file.rpartition("/")[2])],
    )
    flow.add(fail_plainly.s())
    return flow


@workflow("flow-with-callback", notify=[Notification("failed", TO, "{workflow}: {message}")])
def flow_with_callback(file: str) -> Flow:
    """A flow with a callback, in a workflow with a notification."""

    def note(obj: Subject, state: State) -> None:
        seen(obj, State(), state)

    flow = Flow("inner", on_failure=note)
    flow.add(fail_plainly.s())
    return flow


@workflow("flow-with-reference")
def flow_with_reference() -> Flow:
    """A flow of which one step counts alone."""
    flow = Flow("inner", reference=[succeed])
    flow.add(fail_plainly.s())
    flow.add(succeed.s())
    return flow


@workflow("flow-with-result")
def flow_with_result(folder: str) -> Flow:
    """A flow that keeps results in a folder of its own."""
    flow = Flow("inner", result=LocalResult(dir=folder))
    flow.add(keep.s(5))
    return flow


@workflow("flow-in-conflict", state_handlers=[seen])
def flow_in_conflict(file: str) -> Flow:
    """A flow with an option that its workflow has too."""
    flow = Flow("inner", state_handlers=[forgive])
    flow.add(succeed.s(len(file)))
    return flow


@step
def pause_for_a_moment(gate: str) -> str:
    if not Path(gate).exists():
        Path(gate).touch()
        raise signals.PAUSE("in a moment", start_time=timedelta(seconds=0.5))
    return "through"


@workflow("paused-for-a-moment")
def paused_for_a_moment(gate: str) -> Canvas:
    """A step that pauses its operation until a time."""
    return pause_for_a_moment.s(gate) | succeed.si()
