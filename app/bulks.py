"""What a person may ask of many operations at once, and of what was asked so: see `app.domain.bulk`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any

from app import clock
from app.domain.bulk import completions_meant
from app.errors import BulkKeyReused, BulkNotFound, WorkflowUnknown
from app.store.bulks import bulk_of_key, find_bulk, insert_bulk, list_bulks, measure, stop_bulk
from app.store.errors import once
from app.store.operations import list_operations

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from app.domain.bulk import Verb
    from app.domain.states import Completion
    from app.store.bulks import Bulk
    from app.store.database import Database
    from app.store.users import User


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked, of the operations of which workflow and completions, why, and how many of them a minute.

    `resume_at`, in seconds since the epoch, is for a pause: see `Commands.pause`.
    """

    verb: Verb
    workflow: str | None = None
    completions: Sequence[Completion] = ()
    reason: str | None = None
    per_minute: int | None = None
    resume_at: float | None = None

    def digest(self) -> str:
        """SHA-256 of all that is asked, in hexadecimal."""
        asked = [self.verb, self.workflow, [*self.completions], self.reason, self.per_minute, self.resume_at]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def ask(
    database: Database,
    requester: User,
    demand: Demand,
    *,
    known: Collection[str],
    idempotency_key: str | None = None,
) -> tuple[Bulk, bool]:
    """Ask it of the requester's operations, an admin's all; False with it when the key had asked for it before.

    `known` are the names of the workflows that there are.

    The operations that are meant are those that stand so now.

    Raises:
        BulkRefused: That cannot be asked of these.
        BulkKeyReused: The key stands for something else.
        WorkflowUnknown: No code and none of the operations that the requester may see is of that workflow.
    """

    def make() -> tuple[Bulk, bool]:
        completions = completions_meant(demand.verb, demand.workflow, demand.completions)
        owner_id = None if requester.is_admin else requester.id
        _demand_workflow(database, demand.workflow, owner_id, known)
        with database.read() as tx:
            measured = measure(tx, completions, demand.workflow, owner_id)
        row = _row(requester, demand, completions, idempotency_key) | measured | {"owner_id": owner_id}
        with database.write() as tx:
            bulk_id = insert_bulk(tx, row)
        return show(database, requester, bulk_id), True

    return once(partial(_asked, database, requester, idempotency_key, demand), make)


def count(database: Database, requester: User, demand: Demand, *, known: Collection[str]) -> int:
    """Return how many operations a demand means now; `known` as for `ask`. Raises BulkRefused, WorkflowUnknown."""
    completions = completions_meant(demand.verb, demand.workflow, demand.completions)
    owner_id = None if requester.is_admin else requester.id
    _demand_workflow(database, demand.workflow, owner_id, known)
    with database.read() as tx:
        return measure(tx, completions, demand.workflow, owner_id)["total"]


def _demand_workflow(database: Database, workflow: str | None, owner_id: int | None, known: Collection[str]) -> None:
    if workflow is None or workflow in known:
        return
    with database.glance() as tx:  # operations outlive the code of their workflow, and can still be cancelled
        of_old = list_operations(tx, requester_id=owner_id, completions=(), workflow=workflow, before_id=None, limit=1)
    if not of_old:
        raise WorkflowUnknown(workflow, get_close_matches(workflow, known))


def show(database: Database, requester: User, bulk_id: int) -> Bulk:
    """The bulk as it stands. Raises BulkNotFound."""
    with database.glance() as tx:
        bulk = find_bulk(tx, bulk_id)
    if bulk is None or not (requester.is_admin or bulk.requester_id == requester.id):
        raise BulkNotFound(bulk_id)
    return bulk


def list_(database: Database, requester: User, *, before_id: int | None = None, limit: int = 50) -> list[Bulk]:
    """The requester's bulks, an admin's all, newest first, those older than `before_id`."""
    with database.glance() as tx:
        return list_bulks(
            tx, requester_id=None if requester.is_admin else requester.id, before_id=before_id, limit=limit
        )


def stop(database: Database, requester: User, bulk_id: int) -> tuple[Bulk, bool]:
    """Ask it of no more operations; False with it when it was finished already. Raises BulkNotFound."""
    show(database, requester, bulk_id)
    with database.write() as tx:
        is_stopped = stop_bulk(tx, bulk_id, requester.name, clock.now())
    return show(database, requester, bulk_id), is_stopped


def _asked(database: Database, requester: User, key: str | None, demand: Demand) -> Bulk | None:
    if key is None:
        return None
    with database.glance() as tx:
        known = bulk_of_key(tx, requester.id, key)
    if known is not None and known.request_digest != demand.digest():
        raise BulkKeyReused(key, known.id)
    return known


def _row(requester: User, demand: Demand, completions: Sequence[Completion], key: str | None) -> dict[str, Any]:
    now = clock.now()
    return {
        "requester_id": requester.id,
        "verb": demand.verb,
        "workflow": demand.workflow,
        "completions": json.dumps(completions),
        "reason": demand.reason,
        "resume_at": demand.resume_at,
        "per_minute": demand.per_minute,
        "created_at": now,
        "due_at": now,
        "idempotency_key": key,
        "request_digest": demand.digest(),
    }
