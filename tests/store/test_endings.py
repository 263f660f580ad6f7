"""What the end of a step changes in those that wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pausable.db import transitions
from pausable.db.steps import edges_of, list_steps
from pausable.db.transitions import TakenBack, insert_edges, insert_steps
from pausable.model.graph import counters, steps_to_rerun
from pausable.model.states import StepState
from tests.store.rows import NOW, add_operation, add_steps, step_row
from tests.store.test_steps import states_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from pausable.db.database import Database

_S = StepState


def add_graph(tx: Connection, waits: dict[int, list[int]], **states: StepState) -> int:
    """An operation whose steps wait for those given; `s3=` says where the step 3 stands."""
    operation = add_operation(tx)
    rows = [step_row(operation, n, states.get(f"s{n}", _S.PENDING), waiting=len(up)) for n, up in waits.items()]
    insert_steps(tx, rows)
    insert_edges(tx, operation, ((up, n) for n, ups in waits.items() for up in ups))
    return operation


def test_a_step_is_ready_when_the_last_that_it_waits_for_has_ended_well(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        rows = [step_row(operation, number) for number in (0, 1)]
        insert_steps(tx, [*rows, step_row(operation, 2, waiting=2)])
        insert_edges(tx, operation, [(0, 2), (1, 2)])

        assert transitions.count_down(tx, operation, [0]) == []
        assert [step.number for step in transitions.count_down(tx, operation, [1])] == [2]
        assert edges_of(tx, operation) == [(0, 2), (1, 2)]


def test_a_failure_spreads_to_all_that_lies_downstream_and_to_nothing_else(database: Database) -> None:
    with database.write() as tx:
        operation, other = add_operation(tx), add_operation(tx)
        add_steps(tx, operation, _S.FAILED, _S.PENDING, _S.PENDING, _S.PENDING)
        insert_steps(tx, [step_row(operation, 4)])
        add_steps(tx, other, _S.PENDING, _S.PENDING)

        assert transitions.propagate_failure(tx, operation, [0], NOW, "first is Failed") == [1, 2, 3]

        assert states_of(tx, operation) == [_S.FAILED, *[_S.TRIGGER_FAILED] * 3, _S.PENDING]
        assert states_of(tx, other) == [_S.PENDING, _S.PENDING]


def test_a_failure_spreads_past_plain_steps_alone(database: Database) -> None:
    with database.write() as tx:
        operation = add_graph(tx, {0: [], 1: [0], 2: [1], 3: [2]}, s0=_S.FAILED)
        tx.exec_driver_sql("UPDATE steps SET plain = FALSE WHERE number = 2")

        assert transitions.propagate_failure(tx, operation, [0], NOW, "first is Failed") == [1]

        assert states_of(tx, operation) == [_S.FAILED, _S.TRIGGER_FAILED, _S.PENDING, _S.PENDING]


def test_a_step_waits_for_all_that_ended_without_success_and_counts_them(database: Database) -> None:
    with database.write() as tx:
        operation = add_graph(tx, {0: [], 1: [], 2: [], 3: [0, 1, 2]}, s0=_S.FAILED, s1=_S.SKIPPED)

        assert transitions.spoil(tx, operation, [0, 1]) == []
        (ready,) = transitions.spoil(tx, operation, [2])

        assert (ready.number, ready.waiting, ready.spoiled) == (3, 0, 3)


def test_what_is_taken_back_waits_for_what_runs_again_alone(database: Database) -> None:
    with database.write() as tx:
        waits = {0: [], 1: [], 2: [0, 1], 3: [2], 4: [0]}
        operation = add_graph(
            tx, waits, s0=_S.SUCCESS, s1=_S.FAILED, s2=_S.TRIGGER_FAILED, s3=_S.TRIGGER_FAILED, s4=_S.SUCCESS
        )
        states, pairs = transitions.standings(tx, operation), edges_of(tx, operation)
        again = steps_to_rerun(states, pairs)
        rows = counters(again, states, pairs)

        transitions.take_back(tx, operation, [TakenBack(n, states[n], *rows[n]) for n in again])

        assert again == {1, 2, 3}
        assert [step.number for step in transitions.ready_again(tx, operation)] == [1]
        assert [step.state for step in list_steps(tx, operation)][2:4] == [_S.PENDING, _S.PENDING]
        assert {step.number: step.waiting for step in transitions.count_down(tx, operation, [1])} == {2: 0}
