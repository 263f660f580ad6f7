"""Workflows whose steps keep a place, and see what becomes of it."""

from __future__ import annotations

import time
from typing import Any

from pausable import Canvas, cursor, step, workflow
from pausable.db.steps import list_steps
from pausable.engine.celery_app import this_engine
from pausable.service.operations import Wish, cancel, pause, resume
from tests.execution.flows import add, same, write_line


@step
def keep_and_look(value: int, operation_id: int) -> int:
    """Keep a place, and leave what the table then says of it in the place of the step's own result."""
    cursor.keep({"at": value}, done=value, total=9)
    with this_engine().database.glance() as tx:
        rows = [row for row in list_steps(tx, operation_id) if row.cursor]
    assert [(str(row.state), row.cursor, row.done, row.total) for row in rows] == [
        ("Running", f'{{"at":{value}}}', value, 9)
    ]
    return value + 1


@step
def go_over(rows: list[str], ledger: str, stop_at: str, how: str, operation_id: int) -> str:
    """Write down each row; at one of them, the first time, ask that the operation stops."""
    begun = cursor.place
    for row in cursor.over(iter(rows)):
        write_line(ledger, row)
        if row == stop_at and begun is None:
            (cancel if how == "cancel" else pause)(this_engine(), Wish(operation_id, "a step"))
            linger()
    return f"from {begun}"


@step
def withdraw(_: Any, operation_id: int) -> str:
    """Stop at the cursor for a pause that is withdrawn before that is recorded."""
    if cursor.place:
        return f"went on from {cursor.place}"
    wish = Wish(operation_id, "a step")
    pause(this_engine(), wish)
    linger()
    try:
        cursor.keep("halfway")
    except BaseException:
        resume(this_engine(), wish)
        raise
    return "was not stopped"


@step
def stumble(ledger: str) -> str:
    """Keep a place and fail; from that place, succeed."""
    write_line(ledger, f"from {cursor.place}")
    if cursor.place is None:
        cursor.keep(["half", 2], done=1, total=2)
        raise ArithmeticError("halfway")
    return f"from {cursor.place}"


@step
def misuse(how: str) -> None:
    """Use the cursor as it cannot be used."""
    if how == "place":
        cursor.keep({"at": object()})
    elif how == "done":
        cursor.keep(1, done=-1)
    elif how == "twice":
        [*cursor.over([1]), *cursor.over([2])]
    elif how == "both":
        cursor.keep("here")
        list(cursor.over([1]))


def linger() -> None:
    """Have a keep look whether it is to stop: it does so ten times a second."""
    time.sleep(0.15)


@workflow("looking")
def looking(operation_id: int) -> Canvas:
    """Short steps that keep a place."""
    return add.s(0, 1) | keep_and_look.s(operation_id) | keep_and_look.s(operation_id) | same.s()


@workflow("going-over")
def going_over(operation_id: int, ledger: str, stop_at: str, how: str) -> Canvas:
    """A step that goes over rows, and asks to be stopped at one."""
    return same.s(["a", "b", "c", "d"]) | go_over.s(ledger, stop_at, how, operation_id) | same.s()


@workflow("withdrawn-late")
def withdrawn_late(operation_id: int) -> Canvas:
    """A step whose pause is withdrawn while it stops."""
    return same.s(1) | withdraw.s(operation_id)


@workflow("stumbling")
def stumbling(ledger: str) -> Canvas:
    """A step that fails behind its cursor."""
    return same.s(ledger) | stumble.s()


@workflow("misused")
def misused(how: str) -> Canvas:
    """A step that misuses the cursor."""
    return misuse.s(how) | same.s()
