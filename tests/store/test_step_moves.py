"""Every statement that changes a step, tried on a step in every state: a row that is not its to change stays whole."""

from __future__ import annotations

import inspect
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from pausable.db import claims, transitions
from pausable.db.claims import HeldClaim
from pausable.db.steps import find_step
from pausable.model.states import FINAL, StepState
from tests.store.rows import NOW, add_operation, add_steps
from tests.store.test_steps import MOVERS, ending, somebody, task_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from pausable.db.database import Database

_S = StepState
#: What changes no state, but something else of a step.
OTHERS: dict[str, Any] = {
    "count down": lambda tx, id_: transitions.count_down(tx, id_, [0]),
    "spoil": lambda tx, id_: transitions.spoil(tx, id_, [0]),
    "pass point": lambda tx, id_: transitions.answer_point(tx, id_, 5, pause=False),
    "bring forward": lambda tx, id_: transitions.mark_unpublished(tx, id_, [1], NOW),
    "postpone": lambda tx, id_: transitions.postpone(tx, id_, [1], 60.0),
}
EVERYTHING = MOVERS | OTHERS
#: What changes nothing.
READERS = {
    *(
        "upstream_of",
        "first_bad_before",
        "failed_before",
        "reference_states",
        "standings",
        "ready_again",
        "ready_among",
    ),
    *("last_numbers", "slugs_within", "growths_among", "growths_of", "inputs_of", "waiting_for"),
}
#: What inserts steps, or changes who waits for a step that was replaced; the tests of replacements try it.
OF_REPLACEMENTS = {
    *("insert_steps", "insert_imported_steps", "insert_edges", "insert_growths", "store_growth", "remove_growths"),
    *("hand_over", "restore", "change_waiting"),
}
ENDS = {name for name in MOVERS if name.startswith("end ")}
#: What is done under a claim, tried under another than the step has.
UNDER_ANOTHER_CLAIM: dict[str, Any] = {
    "claim next": lambda tx, id_: transitions.claim_next(
        tx, id_, replace(task_of(tx, id_, 1), claim=0), somebody(tx), NOW
    ),
    **{
        f"{was} to {state}": lambda tx, id_, was=was, state=state: transitions.record(tx, [ending(id_, 1, was, state)])
        for was in (_S.RUNNING, _S.PENDING)
        for state in (_S.SUCCESS, _S.FAILED, _S.RETRYING)
    },
}


def rows_of(tx: Connection, operation: int) -> list[Any]:
    return list(tx.execute(text("SELECT * FROM steps WHERE operation_id = :id ORDER BY number"), {"id": operation}))


def stand(tx: Connection, state: StepState, **columns: Any) -> int:
    """An operation whose step 1 stands so, behind one that has succeeded."""
    operation = add_operation(tx)
    add_steps(tx, operation, _S.SUCCESS, state, **({"point": 5, "due_at": NOW} | columns))
    return operation


@pytest.mark.parametrize("statement", sorted(EVERYTHING.keys() - {"take back"}))
@pytest.mark.parametrize("state", sorted(FINAL))
def test_nothing_but_a_retry_changes_a_step_that_has_ended(
    database: Database, state: StepState, statement: str
) -> None:
    with database.write() as tx:
        operation = stand(tx, state)
        before = rows_of(tx, operation)

        EVERYTHING[statement](tx, operation)

        assert rows_of(tx, operation) == before


@pytest.mark.parametrize("statement", sorted(EVERYTHING.keys() - {"succeed", "fail", "retry", "lose", *ENDS}))
def test_a_step_that_runs_is_changed_by_nobody_who_neither_holds_nor_takes_its_claim(
    database: Database, statement: str
) -> None:
    with database.write() as tx:
        operation = stand(tx, _S.RUNNING)
        before = rows_of(tx, operation)

        EVERYTHING[statement](tx, operation)

        assert rows_of(tx, operation) == before


@pytest.mark.parametrize("claim", [1, 7])
@pytest.mark.parametrize("statement", UNDER_ANOTHER_CLAIM)
@pytest.mark.parametrize("state", StepState)
def test_under_another_claim_nothing_is_written(
    database: Database, state: StepState, statement: str, claim: int
) -> None:
    with database.write() as tx:
        operation = stand(tx, state, claim=claim)
        before = rows_of(tx, operation)

        assert UNDER_ANOTHER_CLAIM[statement](tx, operation) is False

        assert rows_of(tx, operation) == before


def test_every_function_that_changes_steps_is_tried_on_every_state() -> None:
    functions = {
        name
        for name, function in vars(transitions).items()
        if inspect.isfunction(function) and function.__module__ == transitions.__name__ and not name.startswith("_")
    }
    tried = {name for mover in EVERYTHING.values() if inspect.isfunction(mover) for name in mover.__code__.co_names}

    assert functions - READERS - OF_REPLACEMENTS <= tried


TAKERS: dict[str, Any] = {
    "take away": lambda tx, held: claims.take_away(tx, held, is_loss=True, due_at=NOW),
    "take over": lambda tx, held: claims.take_over(tx, held, somebody(tx), is_loss=True),
}


@pytest.mark.parametrize("off", [-1, 0, 1])
@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("state", StepState)
def test_a_claim_is_taken_only_from_whoever_holds_it_and_its_number_rises(
    database: Database, state: StepState, taker: str, off: int
) -> None:
    with database.write() as tx:
        operation = stand(tx, state, claim=3)
        tx.execute(text("UPDATE steps SET claim = 3 + :off WHERE number = 1"), {"off": off})
        before = rows_of(tx, operation)

        taken = TAKERS[taker](tx, held(operation, claim=3))

        if state is not _S.RUNNING or off:
            assert taken is None
            assert rows_of(tx, operation) == before
        else:
            assert (taken.claim, taken.losses) == (4, 1)
            moved = state_of(tx, operation)
            assert moved is (_S.QUEUED if taker == "take away" else _S.RUNNING)


def held(operation: int, claim: int) -> HeldClaim:
    nobody: dict[str, Any] = dict.fromkeys(field.name for field in fields(HeldClaim))
    return HeldClaim(**{**nobody, "operation_id": operation, "number": 1, "claim": claim, "slug": "add-1", "losses": 0})


def state_of(tx: Connection, operation: int) -> StepState:
    found = find_step(tx, operation, 1)
    assert found is not None
    return found[1]
