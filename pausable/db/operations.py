"""The statements on `operations`, of which only `save` changes a row, and where imported operations come from."""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, insert, select, text, update

from pausable.db.statements import Prepared
from pausable.db.tables import installation, operations
from pausable.errors import MoveRefused
from pausable.model.identity import Origin
from pausable.model.states import OPERATION_MOVES, Completion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from sqlalchemy import Connection, Select


@dataclass(frozen=True, slots=True)
class OperationSummary:
    """What lists show of an operation: none of the texts that may be large; times are seconds since the epoch."""

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
    #: Before this moment no step of it is started.
    start_at: float | None
    #: When the service itself starts it, where it is SCHEDULED, or resumes it, where it is asked to pause or PAUSED.
    due_at: float | None

    @property
    def resume_at(self) -> float | None:
        """When the service resumes it, if nobody does before."""
        return None if self.completion is Completion.SCHEDULED else self.due_at

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """The operation that a row tells of: its columns are the fields, in their order."""
        id_, requester_id, completion, *rest = row
        return cls(id_, requester_id, Completion(completion), *rest)


@dataclass(frozen=True, slots=True)
class Operation(OperationSummary):
    """One row of `operations`, whole; arguments, result, error and outcome are JSON."""

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
    #: What the flow that its workflow returned asks for by itself, as JSON; None where it asks for nothing.
    flow_options: str | None = None


#: The columns of a summary and of a whole operation, in the order of their fields.
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
_SAVE = Prepared(
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
_EXPORTED = update(operations).where(operations.c.id == bindparam("key_id")).values(exported_at=bindparam("now"))
_IS_DUE = text("operations.due_at IS NOT NULL")  # written out, as in the partial index
_DUE = (
    select(operations.c.id)
    .where(_IS_DUE, operations.c.due_at <= bindparam("now"))
    .order_by(operations.c.due_at)
    .limit(bindparam("limit"))
)
_NEXT_DUE = select(operations.c.due_at).where(_IS_DUE).order_by(operations.c.due_at).limit(1)
#: Where the service may be the one that moves an operation on; anywhere else nothing of it is due.
_WAITING = frozenset({Completion.SCHEDULED, Completion.REQUESTING_PAUSE, Completion.PAUSED})


def insert_operation(tx: Connection, row: Mapping[str, Any]) -> int:
    """Insert an operation, its columns by name; returns its id."""
    id_: int = tx.execute(_INSERT, row).scalar_one()
    return id_


def next_id(tx: Connection) -> int:
    """Take the id that the next operation would get; no other operation ever gets it."""
    statement = _NEXT_ID_SQLITE if tx.dialect.name == "sqlite" else _NEXT_ID_POSTGRESQL
    if taken := tx.execute(statement).scalar():
        return int(taken)
    tx.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES ('operations', 1)"))
    return 1


def find_operation(tx: Connection, operation_id: int) -> Operation | None:
    """The operation of that id, as it stands."""
    row = _BY_ID.first(tx, {"id": operation_id})
    return row and Operation.from_row(row)


def lock_operation(tx: Connection, operation_id: int) -> Operation | None:
    """Take the operation's row for the rest of the transaction; it is the lock of all its steps too."""
    row = _LOCKED.first(tx, {"id": operation_id})
    return row and Operation.from_row(row)


def find_by_idempotency_key(tx: Connection, requester_id: int, key: str) -> Operation | None:
    """The operation that this requester started under that key."""
    row = tx.execute(_BY_KEY, {"requester_id": requester_id, "key": key}).first()
    return Operation.from_row(row) if row else None


def completion_of(tx: Connection, operation_id: int) -> Completion | None:
    """Where the operation stands: what a pause point asks."""
    row = _COMPLETION.first(tx, {"id": operation_id})
    return row and Completion(row[0])


def save(tx: Connection, before: Operation, after: Operation) -> bool:
    """Write what `after` says, raising the version by one, if the row still stands as `before` tells.

    Returns False when it does not. Raises MoveRefused for a move that the table of moves does not have.
    """
    if before.completion is not after.completion and (before.completion, after.completion) not in OPERATION_MOVES:
        raise MoveRefused(before.id, before.completion, after.completion)
    guard = {"key_id": before.id, "key_version": before.version, "key_completion": before.completion}
    due_at = after.due_at if after.completion in _WAITING and after.moved_at is None else None
    values = _mutable(after) | {"version": before.version + 1, "due_at": due_at}
    return _SAVE.change(tx, guard | values) == 1


def mark_exported(tx: Connection, operation_id: int, now: float) -> bool:
    """Note that the operation's document was given out; False when there is no such operation."""
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
    """The newest operations first, below `before_id`, at most `limit`; None means any."""
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
    """The ids of the operations that the service is to start or resume by now, the longest due first."""
    return list(tx.execute(_DUE, {"now": now, "limit": limit}).scalars())


def next_due_operation(tx: Connection) -> float | None:
    """When the service is to start or resume an operation next, in seconds since the epoch."""
    due: float | None = tx.execute(_NEXT_DUE).scalar()
    return due


_MUTABLE = ("completion", "steps_left", "steps_done", "steps_total", "outcome", "workflow_store", "workflow_digest",
            "result", "error", "reason", "started_at", "finished_at", "slice", "moved_at", "moved_to")  # fmt: skip
_mutable_values = attrgetter(*_MUTABLE)


def _mutable(operation: Operation) -> dict[str, Any]:
    return dict(zip(_MUTABLE, _mutable_values(operation), strict=True))


#: What a table is called that no migration has made: one in memory.
_NAMELESS = "inline"

_NAME = select(installation.c.name)
_IMPORTED = select(*OPERATION_COLUMNS).where(operations.c.imported == bindparam("imported"))
_OF_ORIGIN = select(*OPERATION_COLUMNS).where(operations.c.origin == bindparam("origin")).order_by(operations.c.id)


def installation_name(tx: Connection) -> str:
    """What this installation of the service is called in documents."""
    name: str | None = tx.execute(_NAME).scalar()
    return name or _NAMELESS


def is_named(name: str) -> bool:
    """Whether this is the name of an installation, and of no other database: one in memory has none of its own."""
    return name != _NAMELESS


def one_by_one(tx: Connection) -> None:
    """Let whatever else asks for this wait for the rest of the transaction."""
    tx.execute(_NAME.with_for_update())


def origin_of(tx: Connection, operation: Operation) -> Origin:
    """Where an operation was started."""
    if operation.origin is None:
        return Origin(installation_name(tx), operation.id)
    name, _, number = operation.origin.rpartition("/")
    return Origin(name, int(number))


def find_imported(tx: Connection, imported: str) -> Operation | None:
    """The operation that was made from this document."""
    row = tx.execute(_IMPORTED, {"imported": imported}).first()
    return Operation.from_row(row) if row else None


def operations_of(tx: Connection, origin: str) -> list[Operation]:
    """The operations that were imported of one that was started elsewhere."""
    return [Operation.from_row(row) for row in tx.execute(_OF_ORIGIN, {"origin": origin})]
