"""The statements on `operations`, of which only `save` changes a row, and the origin of imported operations."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, exists, insert, select, text, update

from pausable.db.statements import Prepared
from pausable.db.tables import installation, lost_claims, operations, steps
from pausable.errors import MoveRefused
from pausable.model.identity import Origin
from pausable.model.states import OPERATION_MOVES, Completion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from sqlalchemy import Connection, Select


@dataclass(frozen=True, slots=True)
class OperationSummary:
    """An operation as listed, without texts that may be large; times are epoch seconds."""

    id: int
    requester_id: int
    completion: Completion
    workflow: str
    version: int
    steps_total: int
    steps_left: int
    steps_done: int
    reason: str | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    moved_at: float | None
    moved_to: str | None
    #: No step is started before this moment.
    start_at: float | None
    #: When the service itself starts it (SCHEDULED) or resumes it (REQUESTING PAUSE or PAUSED).
    due_at: float | None

    @property
    def resume_at(self) -> float | None:
        """Return when the service resumes it, unless somebody does so before."""
        return None if self.completion is Completion.SCHEDULED else self.due_at

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """Return the operation of a row whose columns are the fields in order."""
        id_, requester_id, completion, *rest = row
        return cls(id_, requester_id, Completion(completion), *rest)


@dataclass(frozen=True, slots=True)
class Operation(OperationSummary):
    """A whole row of `operations`; arguments, result, error and outcome are JSON."""

    workflow_store: str | None
    result: str | None
    arguments: str
    outcome: str
    workflow_digest: str | None
    error: str | None
    idempotency_key: str | None
    request_digest: str | None
    slice: int = 0
    origin: str | None = None
    imported: str | None = None
    #: Options of the flow that its workflow returned, as JSON; None if it has none.
    flow_options: str | None = None


#: Columns of a summary and of a whole operation, in the order of the fields.
SUMMARY_COLUMNS: Final = tuple(operations.c[one.name] for one in fields(OperationSummary))
OPERATION_COLUMNS: Final = tuple(operations.c[one.name] for one in fields(Operation))

_ALL = select(*OPERATION_COLUMNS)
_ONE = _ALL.where(operations.c.id == bindparam("id"))
_BY_ID = Prepared(_ONE)
_LOCKED = Prepared(_ONE.with_for_update(key_share=True))
_BY_KEY = _ALL.where(
    operations.c.requester_id == bindparam("requester_id"), operations.c.idempotency_key == bindparam("key")
)
_NEXT_ID_SQLITE = text("UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'operations' RETURNING seq")
_NEXT_ID_POSTGRESQL = text("SELECT nextval(pg_get_serial_sequence('operations', 'id'))")
_INSERT = insert(operations).returning(operations.c.id)
_COMPLETION = Prepared(select(operations.c.completion).where(operations.c.id == bindparam("id")))
#: What holds of an operation of which no step runs, and of one of which no lost worker may still run a step.
NOTHING_RUNS: Final = ~exists().where(steps.c.operation_id == operations.c.id, text("steps.state = 'Running'"))
NOBODY_IS_LOST: Final = ~exists().where(lost_claims.c.operation_id == operations.c.id)
_UPDATE = (
    update(operations)
    .where(
        operations.c.id == bindparam("key_id"),
        operations.c.version == bindparam("key_version"),
        operations.c.completion == bindparam("key_completion"),
    )
    .values(
        completion=bindparam("completion"),
        version=bindparam("version"),
        steps_left=bindparam("steps_left"),
        steps_done=bindparam("steps_done"),
        steps_total=bindparam("steps_total"),
        outcome=bindparam("outcome"),
        workflow_store=bindparam("workflow_store"),
        workflow_digest=bindparam("workflow_digest"),
        result=bindparam("result"),
        error=bindparam("error"),
        reason=bindparam("reason"),
        started_at=bindparam("started_at"),
        finished_at=bindparam("finished_at"),
        slice=bindparam("slice"),
        moved_at=bindparam("moved_at"),
        moved_to=bindparam("moved_to"),
        due_at=bindparam("due_at"),
    )
)
_SAVE = Prepared(_UPDATE)
_SAVE_QUIET = Prepared(_UPDATE.where(NOTHING_RUNS, NOBODY_IS_LOST))
_EXPORTED = update(operations).where(operations.c.id == bindparam("key_id")).values(exported_at=bindparam("now"))
_IS_DUE = text("operations.due_at IS NOT NULL")  # literal, to match the partial index
_DUE = (
    select(operations.c.id)
    .where(_IS_DUE, operations.c.due_at <= bindparam("now"))
    .order_by(operations.c.due_at)
    .limit(bindparam("limit"))
)
_NEXT_DUE = select(operations.c.due_at).where(_IS_DUE).order_by(operations.c.due_at).limit(1)
#: States in which the service may move an operation by itself; `due_at` has no effect in others.
_WAITING = frozenset({Completion.SCHEDULED, Completion.REQUESTING_PAUSE, Completion.PAUSED})


def insert_operation(tx: Connection, row: Mapping[str, Any]) -> int:
    """Insert an operation and return its id."""
    id_: int = tx.execute(_INSERT, row).scalar_one()
    return id_


def next_id(tx: Connection) -> int:
    """Take the id that the next operation would get; no other operation will get it."""
    statement = _NEXT_ID_SQLITE if tx.dialect.name == "sqlite" else _NEXT_ID_POSTGRESQL
    if taken := tx.execute(statement).scalar():
        return int(taken)
    tx.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES ('operations', 1)"))
    return 1


def find_operation(tx: Connection, operation_id: int) -> Operation | None:
    """Return the operation of that id."""
    row = _BY_ID.first(tx, {"id": operation_id})
    return row and Operation.from_row(row)


def lock_operation(tx: Connection, operation_id: int) -> Operation | None:
    """Return the operation and lock its row, which is also the lock of its steps, until the end of the transaction."""
    row = _LOCKED.first(tx, {"id": operation_id})
    return row and Operation.from_row(row)


def find_by_idempotency_key(tx: Connection, requester_id: int, key: str) -> Operation | None:
    """Return the operation that this requester started under that idempotency key."""
    row = tx.execute(_BY_KEY, {"requester_id": requester_id, "key": key}).first()
    return Operation.from_row(row) if row else None


def completion_of(tx: Connection, operation_id: int) -> Completion | None:
    """Return the state of the operation, which a pause point checks."""
    row = _COMPLETION.first(tx, {"id": operation_id})
    return row and Completion(row[0])


def save(tx: Connection, before: Operation, after: Operation, *, is_quiet: bool = False) -> bool:
    """Write the row of an operation, its version raised by one.

    Args:
        tx: The transaction, which has locked the row.
        before: The row as it was read: only one that still stands so is written.
        after: The row as it is to stand.
        is_quiet: Whether to write it only where no step of the operation runs, or may run at a lost worker.

    Returns:
        Whether the row was written; `written` tells how it stands then.

    Raises:
        MoveRefused: The table of moves has no such move.
    """
    if before.completion is not after.completion and (before.completion, after.completion) not in OPERATION_MOVES:
        raise MoveRefused(before.id, before.completion, after.completion)
    guard = {"key_id": before.id, "key_version": before.version, "key_completion": before.completion}
    values = _mutable(after) | {"version": before.version + 1, "due_at": _due_at(after)}
    return (_SAVE_QUIET if is_quiet else _SAVE).change(tx, guard | values) == 1


def written(before: Operation, after: Operation) -> Operation:
    """Return the row as it stands once `save` has written it."""
    return replace(after, version=before.version + 1, due_at=_due_at(after))


def _due_at(after: Operation) -> float | None:
    return after.due_at if after.completion in _WAITING and after.moved_at is None else None


def mark_exported(tx: Connection, operation_id: int, now: float) -> bool:
    """Record that the operation's document was exported; return False if the operation does not exist."""
    return tx.execute(_EXPORTED, {"key_id": operation_id, "now": now}).rowcount == 1


def list_operations(
    tx: Connection,
    *,
    requester_id: int | None,
    completions: Sequence[Completion],
    workflow: str | None,
    before_id: int | None,
    limit: int,
) -> list[OperationSummary]:
    """Return operations, newest first.

    Args:
        tx: A transaction.
        requester_id: Only those of this user; None for all.
        completions: Only those in these states; empty for all.
        workflow: Only those of this workflow; None for all.
        before_id: Only those with a smaller id; None for all.
        limit: Maximum number of rows.
    """
    query: Select[Any] = select(*SUMMARY_COLUMNS).order_by(operations.c.id.desc()).limit(limit)
    if requester_id is not None:
        query = query.where(operations.c.requester_id == requester_id)
    if completions:
        query = query.where(operations.c.completion.in_(completions))
    if workflow is not None:
        query = query.where(operations.c.workflow == workflow)
    if before_id is not None:
        query = query.where(operations.c.id < before_id)
    return [OperationSummary.from_row(row) for row in tx.execute(query)]


def due_operations(tx: Connection, now: float, limit: int) -> list[int]:
    """Return the ids of operations that the service has to start or resume, the longest due first."""
    return list(tx.execute(_DUE, {"now": now, "limit": limit}).scalars())


def next_due_operation(tx: Connection) -> float | None:
    """Return when the service has to start or resume the next operation, in epoch seconds."""
    due: float | None = tx.execute(_NEXT_DUE).scalar()
    return due


_MUTABLE = ("completion", "steps_left", "steps_done", "steps_total", "outcome", "workflow_store", "workflow_digest",
            "result", "error", "reason", "started_at", "finished_at", "slice", "moved_at", "moved_to")  # fmt: skip
_mutable_values = attrgetter(*_MUTABLE)


def _mutable(operation: Operation) -> dict[str, Any]:
    return dict(zip(_MUTABLE, _mutable_values(operation), strict=True))


#: Name of a database in memory, which no migration has named.
_NAMELESS = "inline"

_NAME = select(installation.c.name)
_IMPORTED = select(*OPERATION_COLUMNS).where(operations.c.imported == bindparam("imported"))
_OF_ORIGIN = select(*OPERATION_COLUMNS).where(operations.c.origin == bindparam("origin")).order_by(operations.c.id)


def installation_name(tx: Connection) -> str:
    """Return the name of this installation in documents."""
    name: str | None = tx.execute(_NAME).scalar()
    return name or _NAMELESS


def is_named(name: str) -> bool:
    """Return whether this is the name of an installation; a database in memory has none."""
    return name != _NAMELESS


def lock_imports(tx: Connection) -> None:
    """Serialise the transactions that call this."""
    tx.execute(_NAME.with_for_update())


def origin_of(tx: Connection, operation: Operation) -> Origin:
    """Return where an operation was started."""
    if operation.origin is None:
        return Origin(installation_name(tx), operation.id)
    name, _, number = operation.origin.rpartition("/")
    return Origin(name, int(number))


def find_imported(tx: Connection, imported: str) -> Operation | None:
    """Return the operation that was created from this document."""
    row = tx.execute(_IMPORTED, {"imported": imported}).first()
    return Operation.from_row(row) if row else None


def operations_of(tx: Connection, origin: str) -> list[Operation]:
    """Return the operations that were imported from one that was started elsewhere."""
    return [Operation.from_row(row) for row in tx.execute(_OF_ORIGIN, {"origin": origin})]
