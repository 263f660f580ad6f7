"""Working bulks off: asking the same of many operations, one after the other, from the sweeps of all workers.

An operation's change and the note of it are one transaction, guarded by the place to which the bulk has come: of two
workers that are at the same operation, or one that died at it, one change is made and counted.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from app import clock
from app.domain.bulk import Standing, Verb, may_stand_now, standing
from app.errors import BulkMovedOn, OperationMovedOn, OperationNotFound
from app.execution.steering import Wish, cancel, pause, resume
from app.store.bulks import Bulk, candidates, due_bulks, moves_around, work_on
from app.store.errors import is_outage

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from app.execution.engine import Engine

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
        return _refuse(engine, bulk, operation_id, _WORDS.sub("-", type(refused).__name__).lower())


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
    is_changed = _VERBS[bulk.verb](engine, Wish(operation_id, bulk.who, why, beside=count), bulk)
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


_VERBS: Final[dict[Verb, Callable[[Engine, Wish, Bulk], bool]]] = {
    Verb.PAUSE: lambda engine, wish, bulk: pause(engine, wish, resume_at=bulk.resume_at),
    Verb.RESUME: lambda engine, wish, _bulk: resume(engine, wish),
    Verb.CANCEL: lambda engine, wish, _bulk: cancel(engine, wish),
}
