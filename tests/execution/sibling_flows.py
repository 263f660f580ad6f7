"""Workflows that begin with many steps beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pausable import Canvas, group, step, workflow
from pausable.engine.celery_app import this_engine
from pausable.service.operations import Wish, cancel, pause
from tests.execution.flows import total, wait_at, write_line

if TYPE_CHECKING:
    from collections.abc import Callable

STOPS: dict[str, Callable[..., Any]] = {"pause": pause, "cancel": cancel}


@step
def mark(name: int, ledger: str, operation_id: int, stop: str = "") -> int:
    """Leave a mark; the fourth asks that the operation stops, or fails."""
    write_line(ledger, str(name))
    is_fourth = name == 3
    if is_fourth and stop in STOPS:
        STOPS[stop](this_engine(), Wish(operation_id, "a step"))
    assert not (is_fourth and stop == "fail"), "the fourth fails"
    return name


@workflow("abreast")
def abreast(operation_id: int, ledger: str, width: int = 40, stop: str = "") -> Canvas:
    """Steps beside each other from the start, and one that adds them up."""
    return group(mark.s(name, ledger, operation_id, stop) for name in range(width)) | total.s()


@workflow("abreast-timed")
def abreast_timed(operation_id: int, ledger: str, width: int) -> Canvas:
    """Steps beside each other from the start, and behind them one that is to wait for an hour."""
    marks = [mark.s(name, ledger, operation_id) for name in range(width)]
    return group(*marks, mark.s(width, ledger, operation_id).set(countdown=3600)) | total.s()


@workflow("abreast-gates")
def gates_abreast(gates: list[str]) -> Canvas:
    """Steps beside each other from the start, each of which waits at a gate."""
    return group(wait_at.s(1, gate) for gate in gates) | total.s()
