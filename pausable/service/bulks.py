"""Pause, resume or cancel many operations at once, and follow or stop that."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pausable import clock
from pausable.db.bulks import (
    Bulk,
    bulk_of_key,
    candidates,
    due_bulks,
    find_bulk,
    insert_bulk,
    list_bulks,
    measure,
    moves_around,
    stop_bulk,
    work_on,
)
from pausable.db.database import is_outage, once
from pausable.db.operations import list_operations
from pausable.errors import (
    BulkKeyReused,
    BulkMovedOn,
    BulkNotFound,
    OperationMovedOn,
    OperationNotFound,
    RequestFailed,
    WorkflowUnknown,
)
from pausable.model.bulk import Standing, Verb, completions_meant, may_stand_now, standing
from pausable.service.operations import Wish, cancel, pause, resume

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from pausable.db.database import Connection, Database
    from pausable.db.operations import Operation
    from pausable.db.users import User
    from pausable.engine.engine import Engine
    from pausable.model.states import Completion

#: Seconds that one sweep gives to bulks at the most: it has other things to look after.
_BUDGET: Final = 0.2
#: Bulks that one sweep works on, operations that it takes up at a time, and rows that it looks through for them.
_BULKS: Final = 10
_AT_ONCE: Final = 50
_LOOK_AT: Final = 2000
#: Seconds of its rate that a bulk may catch up on when a sweep came late; what a stop cost is not caught up on.
_CATCH_UP: Final = 1.0
#: Operations that are named for each reason; of more, only the number is told.
_NAMED: Final = 10
_WORDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def work_off(engine: Engine) -> None:
    """Go on with every bulk that is due, for a fraction of a second in all."""
    until = clock.monotonic() + _BUDGET
    with engine.database.glance() as tx:
        due = due_bulks(tx, clock.now(), _BULKS)
    for bulk in due:
        present: Bulk | None = bulk
        while present and clock.monotonic() < until and present.due_at <= clock.now():
            present = _stretch(engine, present, until)


def _stretch(engine: Engine, bulk: Bulk, until: float) -> Bulk | None:
    """Ask it of the next operations; None when nothing more is to be done here, by this worker or by any."""
    with engine.database.glance() as tx:
        found = candidates(tx, bulk, may_stand_now(bulk.completions), look_at=_LOOK_AT, give=_AT_ONCE)
    present: Bulk | None = bulk
    for operation_id in found.ids:
        present = present and _ask(engine, present, operation_id)
        if present is None or clock.monotonic() >= until or present.due_at > clock.now():
            return present
    return present and _pass(engine, present, found.up_to)


def _pass(engine: Engine, bulk: Bulk, place: int) -> Bulk | None:
    """Go past operations that are not meant; at the end, what is left had moved on before its turn came."""
    if place < bulk.newest:
        return _note(engine, bulk, place)
    refusals = _counted(bulk, Standing.MOVED_ON, None, bulk.left) if bulk.left else bulk.refusals
    _note(engine, bulk, place, finished_at=clock.now(), refused=bulk.refused + bulk.left, refusals=refusals)
    return None


def _ask(engine: Engine, bulk: Bulk, operation_id: int) -> Bulk | None:
    """Ask it of one operation; None when the bulk is not this worker's to go on with now."""
    with engine.database.glance() as tx:
        stands = _standing(tx, bulk, operation_id)
    if stands is not Standing.MEANT:
        return bulk if stands is Standing.NOT_MEANT else _refuse(engine, bulk, operation_id, stands)
    try:
        return _change(engine, bulk, operation_id)
    except OperationMovedOn:
        return _ask(engine, bulk, operation_id)
    except BulkMovedOn:
        return None
    except OperationNotFound:
        return bulk
    except Exception as refused:  # whatever is wrong with one must not keep the others waiting
        if is_outage(refused):
            raise
        return _refuse(engine, bulk, operation_id, _reason(refused))


def _reason(refused: Exception) -> str:
    """Return the end of the problem's type; of an error that no request runs into, its name."""
    if isinstance(refused, RequestFailed):
        return refused.slug
    return _WORDS.sub("-", type(refused).__name__).lower()


def _standing(tx: Connection, bulk: Bulk, operation_id: int) -> Standing:
    return standing(bulk.completions, *moves_around(tx, operation_id, bulk.newest_event))


def _change(engine: Engine, bulk: Bulk, operation_id: int) -> Bulk | None:
    """Make the change and count it; one that was asked for before, and so changes nothing, counts as well."""
    counted: dict[str, Any] = {"done": bulk.done + 1, "due_at": _next_due(bulk)}

    def count(tx: Connection) -> None:  # under the operation's lock, before it is changed
        if _standing(tx, bulk, operation_id) is not Standing.MEANT:
            raise OperationMovedOn(operation_id)
        if not work_on(tx, bulk, operation_id, **counted):
            raise BulkMovedOn(bulk.id)

    why = "; ".join(filter(None, [f"bulk {bulk.id}", bulk.reason]))
    _, is_changed = _VERBS[bulk.verb](engine, Wish(operation_id, bulk.who, why, beside=count), bulk)
    after = replace(bulk, place=operation_id, **counted)
    return after if is_changed else _note(engine, bulk, operation_id, **counted)


def _refuse(engine: Engine, bulk: Bulk, operation_id: int, reason: str) -> Bulk | None:
    refusals = _counted(bulk, reason, operation_id, 1)
    return _note(engine, bulk, operation_id, refused=bulk.refused + 1, refusals=refusals)


def _note(engine: Engine, bulk: Bulk, place: int, **changed: Any) -> Bulk | None:
    """Write down how far the bulk has come; None when another has gone on with it, or it was stopped."""
    with engine.database.write() as tx:
        return replace(bulk, place=place, **changed) if work_on(tx, bulk, place, **changed) else None


def _counted(bulk: Bulk, reason: str, operation_id: int | None, many: int) -> str:
    """The refusals with so many more, for a reason: `{reason: {"count", "operations"}}`."""
    refusals: dict[str, Any] = json.loads(bulk.refusals)
    told = refusals.setdefault(reason, {"count": 0, "operations": []})
    told["count"] += many
    if operation_id is not None and len(told["operations"]) < _NAMED:
        told["operations"].append(operation_id)
    return json.dumps(refusals)


def _next_due(bulk: Bulk) -> float:
    now = clock.now()
    return now if bulk.per_minute is None else max(bulk.due_at, now - _CATCH_UP) + 60.0 / bulk.per_minute


_VERBS: Final[dict[Verb, Callable[[Engine, Wish, Bulk], tuple[Operation, bool]]]] = {
    Verb.PAUSE: lambda engine, wish, bulk: pause(engine, wish, resume_at=bulk.resume_at),
    Verb.RESUME: lambda engine, wish, _bulk: resume(engine, wish),
    Verb.CANCEL: lambda engine, wish, _bulk: cancel(engine, wish),
}


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
