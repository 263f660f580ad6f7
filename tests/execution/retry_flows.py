"""Workflows whose steps fail until somebody has mended something, or until they have been run often enough."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celery import chain, group

from pausable import Canvas, step, workflow
from pausable.model.signals import RETRY, SKIP
from tests.execution.flows import lines_of, same, total, write_line

if TYPE_CHECKING:
    from collections.abc import Callable


@step
def told(value: Any, name: str, ledger: str) -> Any:
    """Leave a mark and hand the value on."""
    write_line(ledger, name)
    return value


@step
def mendable(value: Any, name: str, ledger: str, mend: str) -> Any:
    """Leave a mark, and fail unless the file `mend` is there."""
    write_line(ledger, name)
    if not Path(mend).exists():
        raise ArithmeticError(f"{name} is broken")
    return value


@step
def skipped(_value: Any) -> None:
    raise SKIP("not today")


@step(trigger="all_finished")
def cleaned(name: str, ledger: str) -> None:
    """Leave a mark, however what was before it has ended."""
    write_line(ledger, name)


#: Shapes with steps that fail until they are mended, made of `do(name)`, which works, and `mend(name)`, which fails.
MENDABLE: dict[str, Callable[[Any, Any], Any]] = {
    "chain": lambda do, mend: do("a") | mend("b") | do("c"),
    "first": lambda _do, mend: mend("a"),
    "two beside": lambda do, mend: do("a") | group(mend("b"), mend("c"), do("d")) | total.s(),
    "skipped beside": lambda do, mend: do("a") | group(skipped.s(), mend("b")) | total.s(),
}


@workflow("mendable")
def a_mendable_one(shape: str, ledger: str, mend: str) -> Canvas:
    """One of the shapes, behind a step that gives 1."""
    canvas: Canvas = same.s(1) | MENDABLE[shape](
        lambda name: told.s(name=name, ledger=ledger),
        lambda name: mendable.s(name=name, ledger=ledger, mend=mend),
    )
    return canvas


@workflow("cleaned-and-failed")
def cleaned_and_failed(ledger: str, mend: str) -> Canvas:
    """A step that fails until it is mended, and behind it one that runs in any case, and one that does not."""
    last = group(cleaned.si(name="clean", ledger=ledger), told.s(name="b", ledger=ledger))
    canvas: Canvas = same.s(1) | mendable.s(name="a", ledger=ledger, mend=mend) | last
    return canvas


@workflow("long-mendable")
def long_mendable(length: int, at: int, ledger: str, mend: str) -> Canvas:
    """A chain of so many steps, of which the one at `at` fails until it is mended."""
    broken = mendable.s(name="broken", ledger=ledger, mend=mend)
    return chain(same.s(1), *(broken if number == at else same.s() for number in range(1, length)))


def ended_by_hand(_operation: Any, _old: Any, new: Any) -> Any:
    """A state handler that fails where the operation ends."""
    if new.is_finished():
        raise LookupError("no handler today")


@workflow("failed-by-a-handler", state_handlers=[ended_by_hand])
def failed_by_a_handler() -> Canvas:
    """A step that ends well, of a workflow whose state handler fails then."""
    return same.s(1)


def begun(operation: Any, old: Any, new: Any) -> None:
    """A state handler that leaves a mark."""
    write_line(operation.arguments["ledger"], f"{old.name} to {new.name}")


@workflow("mendable-with-handlers", state_handlers=[begun])
def mendable_with_handlers(ledger: str, mend: str) -> Canvas:
    """A step that fails until it is mended, of a workflow with a state handler."""
    return same.s(1) | mendable.s(name="a", ledger=ledger, mend=mend)


def _fail_for(ledger: str, times: int, kind: type[Exception] = ArithmeticError) -> int:
    """Leave a mark, and fail at the first so many runs."""
    write_line(ledger, "run")
    runs = len(lines_of(ledger))
    if runs <= times:
        raise kind(f"failure {runs}")
    return runs


@step(max_retries=2)
def flaky(ledger: str, times: int) -> int:
    return _fail_for(ledger, times)


@step(max_retries=2, retry_on=LookupError)
def choosy(ledger: str, kind: str) -> int:
    """Be retried after a failed look-up alone."""
    return _fail_for(ledger, 1, {"its kind": KeyError, "another": ArithmeticError}[kind])


@step(retry_on=lambda fault: "1" in str(fault))
def picky(ledger: str, times: int) -> int:
    """Be retried after a failure that has a 1 in it."""
    return _fail_for(ledger, times)


def _broken(_fault: BaseException) -> bool:
    raise RuntimeError("the predicate is broken")


@step(retry_on=_broken)
def puzzled(ledger: str) -> int:
    return _fail_for(ledger, 1)


@step(max_retries=1, retry_delay=60)
def patient(ledger: str) -> int:
    return _fail_for(ledger, 1)


@step(max_retries=1, retry_delay=60, count_paused_time=True)
def impatient(ledger: str) -> int:
    return _fail_for(ledger, 1)


@step(max_retries=3, retry_delay=10, retry_backoff=True)
def backing_off(ledger: str) -> int:
    return _fail_for(ledger, 9)


@step
def at_a_time(ledger: str, seconds: float) -> int:
    """Ask for another run in so many seconds, once."""
    write_line(ledger, "run")
    if len(lines_of(ledger)) == 1:
        raise RETRY("not yet", start_time=timedelta(seconds=seconds))
    return 2


#: Steps that are run again by themselves.
OWN_RETRIES: dict[str, Callable[[str], Any]] = {
    "twice": lambda file: flaky.s(file, 2),
    "too often": lambda file: flaky.s(file, 9),
    "its kind": lambda file: choosy.s(file, "its kind"),
    "another kind": lambda file: choosy.s(file, "another"),
    "picked": lambda file: picky.s(file, 1),
    "not picked": lambda file: picky.s(file, 2),
    "puzzled": lambda file: puzzled.s(file),
    "patient": lambda file: patient.s(file),
    "impatient": lambda file: impatient.s(file),
    "backing off": lambda file: backing_off.s(file),
    "signalled": lambda file: at_a_time.s(file, 0.2),
    "signalled for later": lambda file: at_a_time.s(file, 60),
}


@workflow("own-retries")
def own_retries(kind: str, ledger: str) -> Canvas:
    """A step that is run again by itself, and one more."""
    canvas: Canvas = OWN_RETRIES[kind](ledger) | same.s()
    return canvas


@workflow("patient-beside")
def patient_beside(ledger: str) -> Canvas:
    """A step that waits a minute for its retry, beside one that does not."""
    return same.s(1) | group(patient.si(ledger), same.s()) | total.s()
