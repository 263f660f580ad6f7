"""A workflow and a step whose state handlers kill the process that asks them."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from pausable import Canvas, chain, step, workflow
from tests.recovery.flows import lines_of, write_line

if TYPE_CHECKING:
    from pausable import State, Subject


def die_once(obj: Subject, old: State, new: State) -> None:
    """Note the call, and kill this process at the first call for the state that is to be deadly."""
    ledger = obj.arguments["ledger"]
    is_first = f"{old.name} {new.name}" not in lines_of(ledger)
    write_line(ledger, f"{old.name} {new.name}")
    if is_first and new.name == obj.arguments["deadly"]:
        os.kill(os.getpid(), signal.SIGKILL)


@step(state_handlers=[die_once])
def count(ledger: str, deadly: str) -> int:
    """Note the run."""
    write_line(ledger, "run")
    return 1


@step
def one_more(number: int) -> int:
    return number + 1


@workflow("deadly-step-handler")
def deadly_step_handler(ledger: str, deadly: str) -> Canvas:
    """A step whose handler kills its process once."""
    return chain(count.si(ledger, deadly), one_more.s())


@workflow("deadly-operation-handler", state_handlers=[die_once])
def deadly_operation_handler(ledger: str, deadly: str) -> Canvas:
    """An operation whose handler kills the process that asks it once."""
    return chain(one_more.s(1), one_more.s())
