"""A sweep that finds nothing to do costs the same however much rests in the tables; so does deleting a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pausable.db import claims
from pausable.db.claims import due_steps, next_due
from pausable.db.tables import metadata
from pausable.db.transitions import insert_steps, park
from pausable.model.states import Completion, StepState
from pausable.worker.recovery import Recovery
from pausable.worker.sweeper import sweep
from tests.databases import on_both, on_postgresql_alone, on_sqlite_alone
from tests.store.rows import add_operation, step_row

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from pausable.db.database import Database
    from tests.execution.conftest import ByHand
    from tests.execution.service import Service

_C, _S = Completion, StepState
#: Instructions of SQLite's machine that one sweep may take on top.
_NOISE = 500
_INDEXED_BY_LEADING_COLUMNS = "a foreign key without an index makes every delete of what it refers to read the table"


def at_rest(tx: Connection, many: int) -> None:
    """So many operations that are paused, each with a step that waits for a retry which is overdue."""
    for _ in range(many):
        operation = add_operation(tx, _C.PAUSED)
        row = step_row(operation, 0, _S.RETRYING, due_at=1.0) | {"reference": True}
        insert_steps(tx, [row])
        park(tx, operation)


def idle_sweep(service: Service) -> None:
    Recovery(service.engine).look()
    sweep(service.engine)


def instructions(service: Service, act: Callable[[], object]) -> int:
    """Instructions of SQLite's machine that an act takes."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 10
        return 0

    with service.engine.database.glance() as tx:
        driver: Any = tx.connection.driver_connection
    driver.set_progress_handler(count, 10)
    act()
    driver.set_progress_handler(None, 10)
    return taken


@on_sqlite_alone
def test_an_idle_sweep_takes_no_longer_the_more_operations_are_paused(by_hand: ByHand) -> None:
    service = by_hand()
    idle_sweep(service)
    before = instructions(service, lambda: idle_sweep(service))

    with service.engine.database.write() as tx:
        at_rest(tx, 1_000)

    assert instructions(service, lambda: idle_sweep(service)) < before + _NOISE


@on_postgresql_alone
def test_what_is_due_is_found_without_reading_what_is_parked(by_hand: ByHand) -> None:
    service = by_hand()
    with service.engine.database.write() as tx:
        at_rest(tx, 2_000)
    with service.engine.database.write() as tx:
        tx.exec_driver_sql("ANALYZE steps")
        tx.exec_driver_sql("ANALYZE operations")

    plan = plan_of(service.engine.database)

    assert "Seq Scan on steps" not in plan
    assert "steps_due" in plan


@on_sqlite_alone
def test_what_runs_of_an_operation_is_found_without_reading_its_other_steps(by_hand: ByHand) -> None:
    service = by_hand()
    with service.engine.database.write() as tx:
        operation = add_operation(tx, _C.IN_PROGRESS)
        insert_steps(tx, [step_row(operation, number) | {"reference": True} for number in range(1_000)])

    taken = instructions(service, lambda: service.commands.show(service.ada, operation))

    assert taken < _NOISE


def plan_of(database: Database) -> str:
    with database.read() as tx:
        query = claims._NEXT_DUE.compile(dialect=tx.dialect, compile_kwargs={"literal_binds": True})
        return "\n".join(row[0] for row in tx.exec_driver_sql(f"EXPLAIN {query}".replace("%", "%%")))


@on_both
def test_a_step_that_waits_for_a_retry_is_parked_while_its_operation_is_paused(by_hand: ByHand) -> None:
    service = by_hand()
    operation = service.start("adding", numbers=[1, 2])
    service.change("UPDATE steps SET state = 'Retrying', due_at = 1 WHERE number = 0")
    database = service.engine.database

    service.pause(operation)
    with database.read() as tx:
        found = due_steps(tx, 10.0, 10), next_due(tx)
    assert (service.completion(operation), found) == (_C.PAUSED, ([], None))
    assert service.read("SELECT parked FROM steps ORDER BY number") == [(True,), (False,)]
    service.resume(operation)

    with database.read() as tx:
        assert [one.number for one in due_steps(tx, 1e12, 10)] == [0]


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: str(table.name))
def test_every_foreign_key_has_an_index(table: Any) -> None:
    keys = [index.columns for index in table.indexes]
    keys += [
        one.columns for one in table.constraints if type(one).__name__ in ("PrimaryKeyConstraint", "UniqueConstraint")
    ]
    leading = [[column.name for column in columns] for columns in keys]

    for key in table.foreign_key_constraints:
        named = [column.name for column in key.columns]
        assert any(one[: len(named)] == named for one in leading), _INDEXED_BY_LEADING_COLUMNS
