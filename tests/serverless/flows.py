"""Workflows that run slice by slice, and leave a mark wherever a step is run."""

from __future__ import annotations

from pathlib import Path

from pausable import Canvas, Flow, chain, step, workflow
from pausable.canvas.pause import pause_or_continue


@step
def mark(value: int, ledger: str, name: str) -> int:
    """Leave a mark, and count on."""
    with Path(ledger).open("a") as file:
        file.write(f"{name}\n")
    return value + 1


@step
def total(values: list[int]) -> int:
    return sum(values)


@step
def long_text(length: int) -> str:
    return "x" * length


@step
def length_of(text: str) -> int:
    return len(text)


@workflow("marked-chain")
def marked_chain(ledger: str, length: int = 4) -> Canvas:
    """One after the other."""
    return chain(mark.s(0, ledger, "step-1"), *(mark.s(ledger, f"step-{number}") for number in range(2, length + 1)))


@workflow("marked-flow")
def marked_flow(ledger: str) -> Flow:
    """One, three beside each other, and their sum."""
    flow = Flow()
    first = flow.add(mark.s(0, ledger, "first"))
    flow.add(total.s([flow.add(mark.s(first, ledger, f"beside-{number}")) for number in range(3)]))
    return flow


@workflow("long-text")
def texts(length: int) -> Canvas:
    """A large value between two slices."""
    return chain(long_text.s(length), length_of.s())


@step
def approved(_value: int, ledger: str) -> bool:
    """A clause that asks for a pause, once."""
    with Path(ledger).open("a") as file:
        file.write("asked\n")
    return Path(ledger).read_text().count("asked") == 1


@step
def note(_value: int, _remaining: list[object]) -> None:
    """A callback that does nothing."""


@workflow("gated", pause_every=0)
def gated(ledger: str) -> Canvas:
    """A step behind a point that pauses."""
    gate = pause_or_continue.s(clause=approved.s(ledger), callback=note.s())
    return mark.s(0, ledger, "before") | gate | mark.s(ledger, "behind") | mark.s(ledger, "last")
