"""Operations with many short steps beside each other, and what tests ask of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pausable.model.states import StepState
    from tests.execution.service import Service

WIDTH = 40


def start(service: Service, **arguments: Any) -> tuple[int, str]:
    """An operation with so many steps beside each other, and the file that they leave their marks in."""
    ledger = service.path()
    return service.start("abreast", ledger=ledger, width=WIDTH, **arguments), ledger


def opened(service: Service) -> list[str]:
    """Six gates that are open, and were passed so often that waiting at them is known to be short."""
    gates = [service.path() for _ in range(6)]
    for gate in gates:
        Path(gate).touch()
    for _ in range(3):
        service.start("abreast-gates", gates=gates)
        service.deliver_all()
    return gates


def standings(service: Service, operation: int) -> Counter[StepState]:
    return Counter(service.states(operation).values())
