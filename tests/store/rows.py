"""Rows for the tests of the store: an operation, and steps that stand where the test wants them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from pausable.db.operations import insert_operation
from pausable.db.transitions import insert_edges, insert_steps
from pausable.db.workers import register_worker
from pausable.model.states import Completion, StepState
from pausable.processes import Process

if TYPE_CHECKING:
    from sqlalchemy import Connection

NOW = 1_800_000_000.0
_ADA = text("""INSERT INTO "user" (id, name, role, created_at) VALUES (1, 'ada', 'admin', 0) ON CONFLICT DO NOTHING""")

_RUN = text(
    "UPDATE steps SET state = 'Running', worker_id = :worker WHERE operation_id = :operation AND number = :number"
)


def add_operation(tx: Connection, completion: Completion = Completion.SCHEDULED, **columns: Any) -> int:
    """An operation of the user 1, who is added where there is none."""
    tx.execute(_ADA)
    row = {
        "requester_id": 1,
        "completion": completion,
        "workflow": "adding",
        "arguments": "{}",
        "version": 1,
        "steps_total": 3,
        "steps_left": 3,
        "steps_done": 0,
        "outcome": "2",
        "created_at": NOW,
        "idempotency_key": None,
        "request_digest": None,
    }
    return insert_operation(tx, row | columns)


def step_row(operation_id: int, number: int, state: StepState = StepState.PENDING, **columns: Any) -> dict[str, Any]:
    row = {
        "operation_id": operation_id,
        "number": number,
        "slug": f"add-{number}",
        "state": state,
        "claim": 0,
        "losses": 0,
        "runs": 0,
        "retries": 0,
        "waiting": 0,
        "signature": '{"task":"add"}',
        "inputs": None,
        "point": None,
        "clause": None,
        "callback": None,
        "passed": False,
        "due_at": None,
        "publishes": 0,
        "plain": True,
        "reference": False,
    }
    return row | columns


def enter_worker(tx: Connection) -> int:
    """A worker that holds the claims of a test; it has a row once."""
    return register_worker(tx, Process("nowhere", "boot", 77, 1), NOW)


def add_steps(tx: Connection, operation_id: int, *states: StepState, **columns: Any) -> None:
    """A chain of steps that stand so; each waits for the one before it, if that is not a success.

    Those that run are a worker's.
    """
    waits = [0] + [int(state is not StepState.SUCCESS) for state in states[:-1]]
    rows = [
        step_row(
            operation_id,
            number,
            StepState.QUEUED if state is StepState.RUNNING else state,
            **({"waiting": waits[number]} | columns),
        )
        for number, state in enumerate(states)
    ]
    insert_steps(tx, rows)
    insert_edges(tx, operation_id, pairwise(range(len(states))))
    for number in [number for number, state in enumerate(states) if state is StepState.RUNNING]:
        tx.execute(_RUN, {"operation": operation_id, "number": number, "worker": enter_worker(tx)})
