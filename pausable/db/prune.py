"""The statements that delete what ended long ago, in small transactions because others wait for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Text, and_, bindparam, cast, delete, exists, func, literal, not_, or_, select, tuple_

from pausable.db.migrations import without_references
from pausable.db.operations import installation_name
from pausable.db.tables import edges, events, lost_claims, notifications, operations, step_logs, steps, workers
from pausable.model.states import Completion

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sqlalchemy import ColumnElement, Connection, Table

    from pausable.db.database import Database

#: Maximum rows of an operation that one transaction deletes; fewer for logs, whose rows are large.
ROWS: Final = 150
_LOGS: Final = 15
_KEYS_AT_ONCE: Final = 500
#: Seconds in which a worker declared lost may return: its row is kept for that long.
_RETURNS_WITHIN: Final = 86400.0
_PARTS: Final = ((step_logs, _LOGS), (notifications, ROWS), (events, ROWS), (edges, ROWS), (steps, ROWS))


@dataclass(frozen=True, slots=True)
class Old:
    """Selects operations that ended before a moment in one of these states.

    Operations exported at `exported_before` or later are kept, because the export may refer to their results; so are
    those that another operation here was imported from.
    """

    before: float
    completions: frozenset[Completion]
    exported_before: float = 0.0


@dataclass(frozen=True, slots=True)
class Weighed:
    """An operation that has ended, and its number of rows."""

    id: int
    completion: Completion
    steps: int
    rows: int


def count_old(tx: Connection, old: Old) -> dict[Completion, int]:
    """Return the number of selected operations by state."""
    query = select(operations.c.completion, func.count()).where(_meant(tx, old)).group_by(operations.c.completion)
    counted: Any = tx.execute(query)
    return {Completion(completion): number for completion, number in counted}


def count_kept(tx: Connection, old: Old) -> int:
    """Return how many operations ended before the moment but are kept because others may refer to their results."""
    query = select(func.count()).select_from(operations).where(_ended(old), not_(_is_free(tx, old)))
    number: int = tx.execute(query).scalar_one()
    return number


def oldest(tx: Connection, old: Old, limit: int) -> list[Weighed]:
    """Return the next selected operations, the longest ended first."""
    told = _number_of(events) + _number_of(notifications)
    rows = 1 + 2 * operations.c.steps_total + told + _number_of(step_logs)
    query = select(operations.c.id, operations.c.completion, operations.c.steps_total, rows).where(_meant(tx, old))
    found: Any = tx.execute(query.order_by(operations.c.finished_at).limit(limit))
    return [Weighed(id_, Completion(completion), total, weight) for id_, completion, total, weight in found]


def delete_old(tx: Connection, old: Old, ids: Collection[int]) -> list[int]:
    """Delete operations with everything that belongs to them; return those that were still selected."""
    taken = _locked(tx, old, ids)
    if taken:
        tx.execute(delete(operations).where(operations.c.id.in_(taken)))
    return taken


def thin_out(tx: Connection, old: Old, one: Weighed) -> bool:
    """Delete some rows of a large operation that has ended; return False if none are left.

    Only a retry could move the operation, and a retry is refused once its history is gone: the history is deleted
    first.
    """
    if not _locked(tx, old, [one.id]):
        return False
    return any(_take_some(tx, table, one.id, limit) for table, limit in _PARTS)


def documents_of(tx: Connection, ids: Collection[int]) -> dict[int, str | None]:
    """Return the paths of the operations' documents by id, without operations that do not exist."""
    found: dict[int, str | None] = {}
    for some in _in_batches(sorted(ids)):
        query = select(operations.c.id, operations.c.workflow_store).where(operations.c.id.in_(some))
        found |= {id_: place for id_, place in tx.execute(query)}
    return found


def unknown_ids(tx: Connection, ids: Collection[int]) -> set[int]:
    """Return those ids that no operation has but that were assigned, since newer ids exist."""
    newest: int = tx.execute(select(func.coalesce(func.max(operations.c.id), 0))).scalar_one()
    given = {one for one in ids if one <= newest}
    for some in _in_batches(sorted(given)):
        given -= set(tx.execute(select(operations.c.id).where(operations.c.id.in_(some))).scalars())
    return given


def ended_workers(tx: Connection, before: float) -> list[int]:
    """Return the workers that ended or were lost before that moment and that no row refers to."""
    ended = or_(workers.c.stopped_at < before, workers.c.lost_at < before - _RETURNS_WITHIN)
    found = set(tx.execute(select(workers.c.id).where(ended)).scalars())
    for table in (steps, lost_claims) if found else ():
        held = select(table.c.worker_id).where(table.c.worker_id.is_not(None)).distinct()
        found -= set(tx.execute(held).scalars())
    return sorted(found)


def delete_workers(database: Database, ids: Sequence[int]) -> None:
    """Delete workers that no row refers to.

    With foreign keys enabled SQLite would scan all steps once per worker while it holds the write lock.
    """
    other = without_references(database)
    try:
        for some in _in_batches(ids):
            with other.write(survives_power_cut=False) as tx:
                tx.execute(delete(workers).where(workers.c.id.in_(some)))
    finally:
        other.close()


def _meant(tx: Connection, old: Old) -> ColumnElement[bool]:
    return _ended(old) & _is_free(tx, old)


def _ended(old: Old) -> ColumnElement[bool]:
    is_old: ColumnElement[bool] = operations.c.finished_at < old.before
    return is_old & operations.c.completion.in_(sorted(old.completions))


def _is_free(tx: Connection, old: Old) -> ColumnElement[bool]:
    """Return the condition that neither a recent export nor a continued operation may refer to its results."""
    moments = (operations.c.exported_at, operations.c.moved_at)
    later = operations.alias("later")
    own = literal(f"{installation_name(tx)}/").concat(cast(operations.c.id, Text))
    gone_on = (later.c.origin == func.coalesce(operations.c.origin, own)) & (later.c.slice > operations.c.slice)
    known = exists(select(later.c.id).where(later.c.origin.is_not(None), gone_on))
    return and_(*(or_(moment.is_(None), moment < old.exported_before) for moment in moments), not_(known))


def _locked(tx: Connection, old: Old, ids: Collection[int]) -> list[int]:
    query = select(operations.c.id).where(_meant(tx, old), operations.c.id.in_(ids))
    return list(tx.execute(query.with_for_update(skip_locked=True, of=operations)).scalars())


def _number_of(table: Table) -> Any:
    return select(func.count()).where(table.c.operation_id == operations.c.id).scalar_subquery()


def _take_some(tx: Connection, table: Table, operation_id: int, limit: int) -> bool:
    key = list(table.primary_key)
    some = select(*key).where(table.c.operation_id == bindparam("id")).limit(limit)
    return tx.execute(delete(table).where(tuple_(*key).in_(some)), {"id": operation_id}).rowcount > 0


def _in_batches(ids: Sequence[int]) -> Iterable[Sequence[int]]:
    return (ids[start : start + _KEYS_AT_ONCE] for start in range(0, len(ids), _KEYS_AT_ONCE))
