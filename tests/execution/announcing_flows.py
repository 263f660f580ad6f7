"""Workflows whose steps and operations ask to be told of: by handlers that write down what they see, and by notices."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pausable import Canvas, Notification, NotifyAll, Secret, signals, step, workflow

if TYPE_CHECKING:
    from pausable import State
    from pausable.engine.handlers import Subject

TO = Secret("HOOK")
FOR_ALL = NotifyAll(Notification("cancelled", TO, "all: {workflow} {state}"))


def seen(obj: Subject, old_state: State, new_state: State) -> None:
    """Append what a handler was told to the file that the operation names."""
    line = json.dumps([str(obj), repr(old_state), repr(new_state)])
    with Path(str(obj.arguments["file"])).open("a") as file:
        file.write(f"{line}\n")


@step(notify=[Notification(("failed", "running"), TO, "{step}: {old_state} to {state} {message} {attempt}")])
def fail(file: str) -> None:
    raise ValueError(f"no {Path(file).name}")


@step(state_handlers=[seen], notify=[Notification("finished", TO, "{step} is {state}")])
def after(value: Any = None, file: str = "") -> str:
    return f"after {file}"


@workflow("announced", state_handlers=[seen], notify=[Notification(("failed", "running"), TO, "{workflow}: {state}")])
def announced(file: str) -> Canvas:
    """A step that fails, and one behind it."""
    return fail.s(file) | after.s(file=file)


@step(state_handlers=[seen])
def pause_first(file: str, gate: str) -> str:
    """Ask for a pause until the gate is there."""
    if not Path(gate).exists():
        raise signals.PAUSE("the gate is shut")
    return "through"


@workflow("gated", state_handlers=[seen], notify=[Notification("paused", TO, "{workflow}: {message}")])
def gated(file: str, gate: str) -> Canvas:
    """A step that pauses its operation until a gate is there."""
    return pause_first.s(file, gate)


@step
def wait_at(file: str, gate: str) -> None:
    until = time.monotonic() + 40
    while not Path(gate).exists():
        assert time.monotonic() < until, f"nobody opened {gate}"
        time.sleep(0.005)
    Path(file).touch()


@workflow("awaited", state_handlers=[seen])
def awaited(file: str, gate: str) -> Canvas:
    """Two steps that wait at a gate, one after the other."""
    return wait_at.si(file, gate) | wait_at.si(file, gate)
