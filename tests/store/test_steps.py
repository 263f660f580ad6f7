from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from pausable.db import transitions
from pausable.db import transitions as store
from pausable.db.claims import HeldClaim, due_steps, next_due, take_away
from pausable.db.steps import (
    find_step,
    is_anything_running,
    list_steps,
    queued_steps,
    results_of,
    running_steps,
    window,
)
from pausable.db.transitions import Holder, StepTask, TakenBack, insert_steps
from pausable.db.workers import register_worker
from pausable.model.states import FINAL, STEP_MOVES, Completion, StepState
from pausable.processes import Process
from tests.store.rows import NOW, add_operation, add_steps, enter_worker, step_row

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from pausable.db.database import Database

_S = StepState


def somebody(tx: Connection) -> Holder:
    return Holder(enter_worker(tx), 77)


def states_of(tx: Connection, operation: int) -> list[StepState]:
    return [step.state for step in list_steps(tx, operation)]


def task_of(tx: Connection, operation: int, number: int) -> StepTask:
    found = find_step(tx, operation, number)
    assert found is not None
    return found[0]


def ending(operation: int, number: int, was: StepState, state: StepState, **columns: Any) -> dict[str, Any]:
    """How a step ended, as `record` takes it."""
    told = {"key_operation": operation, "key_number": number, "key_state": was, "key_claim": 0, "state": state}
    kept = {
        "claim": 0,
        "runs": 1,
        "retries": 0,
        "signature": "{}",
        "is_called_anew": False,
        "outline": None,
        "result": "1",
        "error": None,
        "due_at": None,
    }
    place = {"has_place": False, "place": None, "place_done": None, "place_total": None}
    return told | kept | place | {"message": None, "is_well": False, "started_at": NOW, "finished_at": NOW} | columns


def held(operation: int, number: int, claim: int = 0) -> HeldClaim:
    return HeldClaim(operation, number, claim, "", 0, NOW, 1, 1, None, None, None, None, None, None, None)


#: How a step ends otherwise than by what its code returns or raises.
ENDS = (_S.CACHED, _S.SKIPPED, _S.TRIGGER_FAILED, _S.CANCELLED, _S.PAUSED)


def record_ending(state: StepState, tx: Connection, operation: int) -> bool:
    return store.record(tx, [ending(operation, 1, _S.RUNNING, state)])


def standing(tx: Connection, operation: int, number: int) -> StepState:
    """Where a step stands if it has ended; else a state that it cannot be taken back from."""
    state = states_of(tx, operation)[number]
    return state if state in FINAL else _S.SUCCESS


#: Every statement that moves a step.
MOVERS: dict[str, Callable[[Connection, int], object]] = {
    "claim": lambda tx, id_: store.claim_step(tx, id_, 1, somebody(tx), NOW),
    "claim next": lambda tx, id_: store.claim_next(tx, id_, task_of(tx, id_, 1), somebody(tx), NOW),
    "succeed": lambda tx, id_: store.record(tx, [ending(id_, 1, _S.RUNNING, _S.SUCCESS)]),
    "fail": lambda tx, id_: store.record(tx, [ending(id_, 1, _S.RUNNING, _S.FAILED)]),
    "retry": lambda tx, id_: store.record(tx, [ending(id_, 1, _S.RUNNING, _S.RETRYING)]),
    "succeed at once": lambda tx, id_: store.record(tx, [ending(id_, 1, _S.PENDING, _S.SUCCESS)]),
    "release": lambda tx, id_: store.release(tx, id_, {1: NOW}),
    "hold": lambda tx, id_: store.hold(tx, id_, [1]),
    "rest": lambda tx, id_: store.rest(tx, id_),
    "hold at point": lambda tx, id_: store.answer_point(tx, id_, 5, pause=True),
    "release held": lambda tx, id_: store.release_held(tx, id_, NOW),
    "release first": lambda tx, id_: store.release_first(tx, id_, NOW),
    "park": lambda tx, id_: store.park(tx, id_),
    "unpark": lambda tx, id_: store.unpark(tx, id_),
    "cancel": lambda tx, id_: store.cancel_idle(tx, id_, NOW),
    "spread": lambda tx, id_: transitions.propagate_failure(tx, id_, [0], NOW, "a is Failed"),
    "skip": lambda tx, id_: transitions.skip(tx, id_, [1], NOW),
    "take back": lambda tx, id_: transitions.take_back(tx, id_, [TakenBack(1, standing(tx, id_, 1), 0, 0)]),
    **{f"end {state}": partial(record_ending, state) for state in ENDS},
    "lose": lambda tx, id_: take_away(tx, held(id_, 1), is_loss=True, due_at=NOW),
    "publish again": lambda tx, id_: store.publish_again(tx, id_, 1, 0, now=NOW, due_at=NOW + 60),
}


@pytest.mark.parametrize("mover", MOVERS)
@pytest.mark.parametrize("state", StepState)
def test_a_step_is_only_ever_moved_as_the_table_says(database: Database, state: StepState, mover: str) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        add_steps(tx, operation, _S.SUCCESS, state, point=5, due_at=NOW)

        MOVERS[mover](tx, operation)

        moved = states_of(tx, operation)[1]
    assert moved is state or (state, moved) in STEP_MOVES


@pytest.mark.parametrize("move", STEP_MOVES)
def test_every_move_of_the_table_is_made_by_a_statement(database: Database, move: tuple[StepState, StepState]) -> None:
    if move[0] is _S.PENDING and move[1] in (_S.FAILED, _S.RETRYING):
        return  # made by the same statement as Pending to Success
    with database.write() as tx:
        made = set()
        for mover in MOVERS.values():
            operation = add_operation(tx)
            add_steps(tx, operation, _S.SUCCESS, move[0], point=5, due_at=NOW)
            mover(tx, operation)
            made.add(states_of(tx, operation)[1])

    assert move[1] in made


def test_a_claim_raises_its_number_and_tells_who_holds_it(database: Database) -> None:
    with database.write() as tx:
        worker = register_worker(tx, Process("host", "boot", 1, 2), NOW)
        operation = add_operation(tx)
        add_steps(tx, operation, _S.QUEUED, due_at=NOW)

        claimed = store.claim_step(tx, operation, 0, Holder(worker, 77), NOW)

        assert claimed is not None
        assert (claimed.claim, claimed.runs) == (1, 1)
        (running,) = running_steps(tx, operation)
        assert (running.slug, running.started_at, running.host, running.process) == ("add-0", NOW, "host", 77)
        assert next_due(tx) is None


def test_a_claim_forgets_how_often_its_step_was_published(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        add_steps(tx, operation, _S.QUEUED, due_at=NOW, publishes=5)

        store.claim_step(tx, operation, 0, somebody(tx), NOW)
        store.record(tx, [ending(operation, 0, _S.RUNNING, _S.RETRYING, key_claim=1, claim=1, due_at=NOW)])

        assert [due.publishes for due in due_steps(tx, NOW, limit=9)] == [0]


def test_a_step_is_not_claimed_before_its_clause_was_asked(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        add_steps(tx, operation, _S.QUEUED, _S.QUEUED, point=1, clause='{"task":"due"}')
        assert store.claim_step(tx, operation, 0, somebody(tx), NOW) is None

        assert store.answer_point(tx, operation, 1, pause=False) == 2

        assert store.claim_step(tx, operation, 0, somebody(tx), NOW) is not None


def test_a_record_under_an_older_claim_writes_nothing(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        add_steps(tx, operation, _S.RUNNING, claim=2)

        assert not store.record(tx, [ending(operation, 0, _S.RUNNING, _S.SUCCESS, key_claim=1)])

        assert states_of(tx, operation) == [_S.RUNNING]
        assert store.record(tx, [ending(operation, 0, _S.RUNNING, _S.SUCCESS, key_claim=2)])


def test_a_record_of_several_tells_when_one_was_not_to_be_written(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        add_steps(tx, operation, _S.RUNNING, _S.PENDING, _S.QUEUED)

        first, second = ending(operation, 0, _S.RUNNING, _S.SUCCESS), ending(operation, 1, _S.PENDING, _S.SUCCESS)
        assert store.record(tx, [first, second])
        assert not store.record(tx, [first, ending(operation, 2, _S.PENDING, _S.SUCCESS)])


def test_what_was_held_is_queued_and_its_point_is_passed(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        add_steps(tx, operation, _S.QUEUED, _S.PENDING, point=1)
        store.rest(tx, operation)
        assert queued_steps(tx, operation) == []

        released = store.release_held(tx, operation, NOW)

        assert released == queued_steps(tx, operation)
        assert [(step.number, step.passed) for step in released] == [(0, True)]


def test_only_what_has_not_ended_and_does_not_run_is_cancelled(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        add_steps(tx, operation, *StepState)

        assert store.cancel_idle(tx, operation, NOW) == 4

        kept = FINAL | {_S.RUNNING}
        expected = [state if state in kept else _S.CANCELLED for state in StepState]
        assert states_of(tx, operation) == expected


def test_of_two_who_publish_again_one_wins(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        add_steps(tx, operation, _S.RETRYING, due_at=NOW)
        (due,) = due_steps(tx, NOW, limit=9)

        won = [store.publish_again(tx, operation, 0, due.publishes, now=NOW, due_at=NOW + 60) for _ in range(2)]

        assert won[0] is not None
        assert won[1] is None
        assert states_of(tx, operation) == [_S.QUEUED]


@pytest.mark.parametrize("completion", Completion)
def test_only_what_goes_on_is_ever_due(database: Database, completion: Completion) -> None:
    with database.write() as tx:
        operation = add_operation(tx, completion)
        add_steps(tx, operation, _S.RETRYING, due_at=NOW)

        goes_on = completion in (Completion.SCHEDULED, Completion.IN_PROGRESS)

        assert next_due(tx) == (NOW if goes_on else None)
        assert len(due_steps(tx, NOW, limit=9)) == goes_on


def test_what_is_due_comes_the_longest_due_first(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        times = [NOW + 3, NOW + 1, NOW + 2, NOW + 9]
        insert_steps(tx, [step_row(operation, number, _S.QUEUED, due_at=at) for number, at in enumerate(times)])

        due = due_steps(tx, NOW + 3, limit=2)

        assert [one.number for one in due] == [1, 2]
        assert next_due(tx) == NOW + 1


def test_steps_are_read_in_pages_and_ahead_with_their_edges(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        add_steps(tx, operation, *[_S.PENDING] * 6)

        assert [step.number for step in list_steps(tx, operation, after=1, limit=2)] == [2, 3]
        steps, edges = window(tx, operation, after=1, limit=2)

    assert [step.number for step, _state in steps] == [2, 3]
    assert edges == [(1, 2), (2, 3), (3, 4)]


def test_the_results_of_any_number_of_steps_are_found(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        add_steps(tx, operation, *[_S.SUCCESS] * 1200)
        tx.execute(text("UPDATE steps SET result = number WHERE number != 3"))

        found = results_of(tx, operation, range(1200))

    assert len(found) == 1200
    assert (found[1199], found[3]) == ("1199", None)


def test_what_runs_is_seen_and_what_is_not_there_is_not(database: Database) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        add_steps(tx, operation, _S.SUCCESS, _S.RUNNING, _S.PENDING, _S.PENDING)

        assert is_anything_running(tx, operation)
        assert find_step(tx, operation, 9) is None
