"""Workflows with pause points that their author placed, with clauses and callbacks of the author's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from celery import group

from pausable import Canvas, step, workflow
from pausable.canvas.pause import pause_or_continue
from tests.execution.flows import add, lines_of, same, tell, total, write_line

if TYPE_CHECKING:
    from celery.canvas import Signature


@step
def asked(retval: Any, ledger: str, answers: list[bool]) -> bool:
    """A clause: it gives these answers one after the other."""
    write_line(ledger, json.dumps(retval))
    return answers[len(lines_of(ledger)) - 1]


@step
def kept(retval: Any, remaining: list[dict[str, Any]], file: str) -> None:
    """A callback: it keeps what it is given."""
    write_line(file, json.dumps([retval, [link["task"].rpartition(".")[2] for link in remaining]]))


@step
def broken(_retval: Any, *_given: Any) -> bool:
    """A clause, or a callback, that cannot answer."""
    raise LookupError("the answer is not to be had")


def point(ledger: str, *answers: bool) -> Signature[Any]:
    """A pause point with a clause that gives these answers, and a callback, both writing to the ledger's files."""
    return pause_or_continue.s(clause=asked.s(ledger, list(answers)), callback=kept.s(f"{ledger}.kept"))


@workflow("clause", pause_every=0)
def behind_a_clause(ledger: str, answers: list[bool]) -> Canvas:
    """A step behind a clause."""
    return same.s(1) | point(ledger, *answers) | add.s(1) | add.s(10)


@workflow("clause-and-group", pause_every=0)
def a_group_behind_a_clause(ledger: str, answers: list[bool]) -> Canvas:
    """A group behind a clause."""
    return same.s(1) | point(ledger, *answers) | group(add.s(1), add.s(2), add.s(3)) | total.s()


@workflow("two-clauses", pause_every=0)
def branches_with_clauses(ledgers: list[str]) -> Canvas:
    """Branches that begin with a clause each, and a branch without."""
    branches: list[Any] = [point(ledger, False) | add.s(1) for ledger in ledgers]
    return same.s(1) | group(add.s(5), *branches) | total.s()


@workflow("broken-clause", pause_every=0)
def behind_a_broken_clause() -> Canvas:
    """A clause that raises."""
    clause = pause_or_continue.s(clause=broken.s(), callback=kept.s("nowhere"))
    branch: Any = clause | group(add.s(1), add.s(2))
    return same.s(1) | group(branch, add.s(5)) | total.s()


@workflow("broken-callback", pause_every=0)
def with_a_broken_callback() -> Canvas:
    """A pause point that pauses, with a callback that raises."""
    return same.s(1) | pause_or_continue.s(clause=same.s(), callback=broken.s()) | add.s(1)


@workflow("placed-by-hand", pause_every=0)
def placed_by_hand(operation_id: int, ledger: str, stop: str = "") -> Canvas:
    """Three steps with the service's own pause point before the last alone."""
    given = {"ledger": ledger, "operation_id": operation_id, "stop": stop}
    return (
        tell.s("-", name="a", **given) | tell.s(name="b", **given) | pause_or_continue.s() | tell.s(name="c", **given)
    )
