"""What a step logged: parts in order, each run apart, one step's alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pausable.db.history import LogPart, append_lines, log_parts, number_of_slug
from pausable.model.states import StepState
from tests.store.rows import add_operation, add_steps

if TYPE_CHECKING:
    from pausable.db.database import Database


def test_parts_are_given_in_order_run_by_run(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        for number, run, lines in [(0, 1, "a\n"), (0, 2, "c\n"), (0, 1, "b\n"), (1, 1, "another's\n")]:
            append_lines(tx, operation, number, run, lines)

    with database.read() as tx:
        first = log_parts(tx, operation, 0, limit=2)
        rest = log_parts(tx, operation, 0, after=first[-1])

    assert first == [LogPart(1, 1, "a\n"), LogPart(1, 2, "b\n")]
    assert rest == [LogPart(2, 1, "c\n")]


def test_a_step_is_found_by_its_slug_within_its_operation(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        add_steps(tx, operation, StepState.QUEUED, StepState.PENDING)

    with database.read() as tx:
        assert number_of_slug(tx, operation, "add-1") == 1
        assert number_of_slug(tx, operation + 1, "add-1") is None
