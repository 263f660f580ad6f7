"""The place of a step is kept under its claim alone, until it has ended well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pausable.db import transitions
from pausable.db import transitions as store
from pausable.db.claims import Kept, keep_place
from pausable.db.steps import list_steps, running_steps
from pausable.db.transitions import Holder, TakenBack
from pausable.model.states import StepState
from tests.store.rows import NOW, add_operation, add_steps, enter_worker
from tests.store.test_steps import ending

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from pausable.db.database import Database

_S = StepState
KEPT = Kept('{"at":5}', 5, 2**40)


def claimed(tx: Connection) -> int:
    """An operation whose first step is claimed, for the first time."""
    operation = add_operation(tx)
    add_steps(tx, operation, _S.QUEUED, _S.PENDING)
    assert store.claim_step(tx, operation, 0, Holder(enter_worker(tx), 77), NOW)
    return operation


def test_a_place_is_kept_and_handed_to_whoever_claims_the_step_next(database: Database) -> None:
    with database.write() as tx:
        operation = claimed(tx)

        assert keep_place(tx, operation, 0, 1, KEPT)

        (running,) = running_steps(tx, operation)
        assert (running.done, running.total, running.is_confirmed) == (5, 2**40, True)
        assert store.record(tx, [ending(operation, 0, _S.RUNNING, _S.QUEUED, key_claim=1, claim=1)])
        again = store.claim_step(tx, operation, 0, Holder(enter_worker(tx), 78), NOW)
        assert again
        assert again.cursor == KEPT.place


@pytest.mark.parametrize("claim", [0, 2])
def test_no_place_is_kept_under_another_claim(database: Database, claim: int) -> None:
    with database.write() as tx:
        operation = claimed(tx)

        assert not keep_place(tx, operation, 0, claim, KEPT)

        assert list_steps(tx, operation)[0].cursor is None


@pytest.mark.parametrize("state", sorted(set(StepState) - {_S.RUNNING}))
def test_no_place_is_kept_of_a_step_that_does_not_run(database: Database, state: StepState) -> None:
    with database.write() as tx:
        operation = add_operation(tx)
        add_steps(tx, operation, state)

        assert not keep_place(tx, operation, 0, 0, KEPT)


@pytest.mark.parametrize("is_well", [True, False])
def test_the_place_is_gone_once_its_step_has_ended_well(database: Database, is_well: bool) -> None:
    with database.write() as tx:
        operation = claimed(tx)
        keep_place(tx, operation, 0, 1, KEPT)

        store.record(tx, [ending(operation, 0, _S.RUNNING, _S.SKIPPED, key_claim=1, claim=1, is_well=is_well)])

        step = list_steps(tx, operation)[0]
        assert (step.cursor, step.done, step.total) == ((None, None, None) if is_well else (KEPT.place, 5, 2**40))


@pytest.mark.parametrize(("waiting", "cursor"), [(0, KEPT.place), (1, None)])
def test_a_step_that_is_taken_back_keeps_its_place_unless_one_before_it_runs_again(
    database: Database, waiting: int, cursor: str | None
) -> None:
    with database.write() as tx:
        operation = claimed(tx)
        keep_place(tx, operation, 0, 1, KEPT)
        store.record(tx, [ending(operation, 0, _S.RUNNING, _S.FAILED, key_claim=1, claim=1)])

        transitions.take_back(tx, operation, [TakenBack(0, _S.FAILED, waiting, 0)])

        assert list_steps(tx, operation)[0].cursor == cursor


def test_only_a_place_that_has_moved_sets_losses_back(database: Database) -> None:
    with database.write() as tx:
        operation = claimed(tx)
        losses = []
        for place in ("1", "1", "2"):
            tx.exec_driver_sql("UPDATE steps SET losses = losses + 1 WHERE number = 0")
            keep_place(tx, operation, 0, 1, Kept(place))
            losses.append(list_steps(tx, operation)[0].losses)

    assert losses == [0, 1, 0]
