"""Export operations as documents, import them, and run slices of a document."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final

from pausable import clock
from pausable.canvas.values import compact
from pausable.db.database import once
from pausable.db.history import append_event
from pausable.db.operations import (
    Operation,
    find_imported,
    find_operation,
    insert_operation,
    installation_name,
    lock_imports,
    lock_operation,
    mark_exported,
    next_id,
    operations_of,
    save,
)
from pausable.db.steps import keep_code
from pausable.db.transitions import park
from pausable.documents.check import LARGEST, checked_any, demand_readable, parsed
from pausable.documents.model import needed_results
from pausable.engine import local, start
from pausable.engine.checkpoints import small
from pausable.engine.documents import Snapshot, columns_of, insert_graph, tell_of_pauses, with_clocks, write_document
from pausable.engine.local import Known, told_by
from pausable.errors import (
    DocumentNotWritten,
    DocumentOlder,
    DocumentUntrusted,
    OperationAtWork,
    OperationNotFound,
    TrustNeedsAdmin,
    VersionPassed,
)
from pausable.model.states import ENDED, Completion
from pausable.processes import uncollected
from pausable.results.references import escaped, reference_in
from pausable.results.remote import store_at
from pausable.results.targets import SERIALIZERS
from pausable.service.operations import Wish, snapshot_for
from pausable.workflows.registry import flow_policy

if TYPE_CHECKING:
    from pausable.db.database import Connection
    from pausable.db.users import User
    from pausable.documents.model import Document, Head, StepFacts
    from pausable.documents.signing import Keys
    from pausable.engine.engine import Engine
    from pausable.engine.local import Budget, Tell
    from pausable.model.graph import Graph, Inputs
    from pausable.results.references import Reference
    from pausable.service.operations import Commands, View
    from pausable.workflows.registry import Workflows

_C = Completion
#: What stands here goes on when it is asked to; where it was moved to, and nowhere else.
_GOES_ON: Final = frozenset({_C.PAUSED, _C.FAILED})
#: Bytes of results that an export puts into the document at the most, where it is not told otherwise.
INLINE: Final = 8 * 1024 * 1024


def export(engine: Engine, wish: Wish, to: str | None, inline: int = INLINE) -> dict[str, Any]:
    """Move an operation at rest elsewhere: its document, results inlined up to so many bytes; it is not resumed here.

    One that was moved before gives its document again. Raises OperationNotFound, DocumentNotWritten, VersionPassed,
    and DocumentMalformed where no import would read it: then it is not moved.
    """
    snapshot = snapshot_for(engine, wish)
    operation = snapshot.operation
    if operation.completion not in ENDED | {_C.PAUSED}:
        raise DocumentNotWritten(operation.id, operation.completion)
    document = inlined(snapshot, inline).document()
    demand_readable(document)
    with engine.database.write() as tx:
        now = clock.now()
        if not mark_exported(tx, operation.id, now):
            raise OperationNotFound(operation.id)  # pruned meanwhile
        if _would_go_on(operation):
            _mark_moved(tx, operation, wish.who, to, now)
    return document


def inlined(snapshot: Snapshot, limit: int) -> Snapshot:
    """The operation with results that are needed put in place of the references to them, up to so many bytes."""
    head, room = snapshot.head, _Room(limit)
    needed = needed_results(head.outcome, snapshot.steps)
    steps = [replace(one, result=room.filled(one.result)) if one.number in needed else one for one in snapshot.steps]
    result = snapshot.operation.result
    if head.completion in ENDED and result is not None:
        result = compact(room.filled_whole(head.result, head.outcome))
    return replace(snapshot, steps=tuple(steps), operation=replace(snapshot.operation, result=result))


class _Room:
    """The bytes of results that a document has still room for; what was put in once is put in again for none."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._known: dict[str, Any] = {}

    def filled(self, stored: Any) -> Any:
        """What a reference refers to, where that can be read and there is room for it; anything else as it is."""
        text = compact(stored)
        reference = reference_in(text)
        if reference is not None and text not in self._known:
            self._known[text] = self._value(reference, stored)
        return stored if reference is None else self._known[text]

    def filled_whole(self, stored: Any, outcome: Inputs) -> Any:
        """The result of an operation, and each part of it where it is made of several."""
        value = self.filled(stored)
        if not isinstance(outcome, list) or not isinstance(value, list):
            return value
        return [self.filled_whole(part, one) for part, one in zip(value, outcome, strict=True)]

    def _value(self, reference: Reference, otherwise: Any) -> Any:
        try:
            content = store_at(reference.store).read(reference.path) if self._left > 0 else None
        except Exception:  # a store may raise anything; whoever imports the document is told what cannot be read
            content = None
        if content is None or len(content) > self._left:
            return otherwise
        self._left -= len(content)
        return json.loads(escaped(SERIALIZERS[reference.serializer].load(content)))


def _mark_moved(tx: Connection, operation: Operation, who: str, to: str | None, now: float) -> None:
    if not save(tx, operation, replace(operation, moved_at=now, moved_to=to)):
        raise VersionPassed(operation.id, operation.version)
    why = f"moved to {to}" if to else "moved elsewhere"
    stands = operation.completion
    append_event(tx, operation.id, at=now, who=who, old=stands, new=stands, why=why)


def _known_here(engine: Engine, head: Head, requester: User) -> Operation | None:
    with engine.database.read() as tx:
        return _known(tx, head, _kin(tx, head), requester)


def _kin(tx: Connection, head: Head) -> list[Operation]:
    """What there is here of the same operation."""
    kin = operations_of(tx, str(head.origin))
    if head.origin.installation == installation_name(tx) and (first := find_operation(tx, head.origin.operation_id)):
        kin.append(first)
    return kin


def _known(tx: Connection, head: Head, kin: list[Operation], requester: User) -> Operation | None:
    """The operation that was made from this document, or wrote it; None when it tells of something new.

    Raises DocumentOlder, OperationAtWork, TrustNeedsAdmin.
    """
    if same := find_imported(tx, _name_of(head)):
        return same
    for one in kin:
        if one.slice > head.slice:
            raise DocumentOlder(head.slice, one.slice, one.id, one.completion)
        if one.completion not in ENDED | {_C.PAUSED}:
            raise OperationAtWork(one.id, one.completion)
    same = next((one for one in kin if one.slice == head.slice), None)
    if same is None and not all(_may_take_place(requester, one) for one in kin):
        raise TrustNeedsAdmin("put a newer workflow.json in the place of somebody else's operation")
    return same


def _may_take_place(requester: User, one: Operation) -> bool:
    """Whether an import by this requester may let the operation go on no more, if it would."""
    return requester.is_admin or one.requester_id == requester.id or not _would_go_on(one)


def _would_go_on(one: Operation) -> bool:
    return one.completion in _GOES_ON and one.moved_at is None


def bring_in(
    engine: Engine, head: Head, steps: list[StepFacts], requester: User, flow_options: str | None = None
) -> tuple[int, bool]:
    """Make an operation of what a document tells; returns its id, and False with it when that was done before.

    It is paused, or has ended, as the document says.

    Args:
        engine: The engine.
        head: What the document tells of the operation.
        steps: What it tells of the steps.
        requester: Whose the operation becomes.
        flow_options: What its row has to say of the options of its flow.

    Raises DocumentOlder, OperationAtWork, TrustNeedsAdmin,
    ResultUnwritable.
    """

    def find() -> int | None:
        same = _known_here(engine, head, requester)
        return None if same is None else same.id

    return once(find, lambda: _brought_in(engine, head, steps, requester, flow_options))


def _brought_in(
    engine: Engine, head: Head, steps: list[StepFacts], requester: User, flow_options: str | None
) -> tuple[int, bool]:
    now = clock.now()
    with engine.database.write() as tx:
        new_id = next_id(tx)
    steps = [_kept_small(engine, new_id, step) for step in with_clocks(engine, head, steps, now)]
    operation = replace(_operation(engine, new_id, head, steps, requester), flow_options=flow_options)
    if operation.completion is _C.PAUSED:
        snapshot = Snapshot(operation, tuple(steps), head.origin, now, head.code)
        operation = replace(operation, **write_document(engine, snapshot))  # type: ignore[arg-type]
    with engine.database.write() as tx:
        kin = _locked_kin(tx, head)
        if same := _known(tx, head, kin, requester):  # it may have come further meanwhile
            return same.id, False
        _insert(tx, operation, head, steps, requester, kin)
    return new_id, True


def _kept_small(engine: Engine, operation_id: int, step: StepFacts) -> StepFacts:
    text = compact(step.result)
    kept = text if reference_in(text) else small(engine, operation_id, step.slug, text)
    return step if kept is text else replace(step, result=json.loads(kept))


def _operation(engine: Engine, new_id: int, head: Head, steps: list[StepFacts], requester: User) -> Operation:
    result = compact(head.result) if head.completion is _C.COMPLETED else None
    return Operation(
        id=new_id,
        requester_id=requester.id,
        completion=head.completion,
        result=small(engine, new_id, "result", result) if result else None,
        version=0,  # its document is that of the version that comes next
        finished_at=clock.now() if head.completion in ENDED else None,
        imported=_name_of(head),
        **columns_of(head, steps),
        **_NONE_YET,
    )


#: What nobody has asked for of an operation that comes in.
_NONE_YET: Final[dict[str, Any]] = dict.fromkeys(
    (
        "workflow_store",
        "workflow_digest",
        "reason",
        "idempotency_key",
        "request_digest",
        "moved_at",
        "moved_to",
        "due_at",
    ),
    None,
)


def _locked_kin(tx: Connection, head: Head) -> list[Operation]:
    """Its kin, of which none can be resumed, or come to be, until this has ended."""
    lock_imports(tx)
    return [one for kin in sorted(_kin(tx, head), key=lambda one: one.id) if (one := lock_operation(tx, kin.id))]


def _insert(
    tx: Connection, operation: Operation, head: Head, steps: list[StepFacts], requester: User, kin: list[Operation]
) -> None:
    now = clock.now()
    _supersede(tx, kin, operation.id, requester.name)
    row = {one.name: getattr(operation, one.name) for one in fields(operation)}
    insert_operation(tx, row | {"version": 1})
    insert_graph(tx, operation.id, steps, head.origin)
    tell_of_pauses(tx, operation.id, steps, now)
    if operation.completion is _C.PAUSED:
        park(tx, operation.id)
    keep_code(tx, operation.id, head.code)
    why = f"imported: slice {head.slice} of operation {head.origin.operation_id} of {head.origin.installation}"
    append_event(tx, operation.id, at=now, who=requester.name, new=operation.completion, why=why)


def _supersede(tx: Connection, kin: list[Operation], new_id: int, who: str) -> None:
    """Let what rests here of the same operation go on no more: the new one has come further."""
    for one in kin:
        if _would_go_on(one):
            to, now = f"operation {new_id} here", clock.now()
            save(tx, one, replace(one, moved_at=now, moved_to=to))
            append_event(tx, one.id, at=now, who=who, old=one.completion, new=one.completion, why=f"moved to {to}")


def _name_of(head: Head) -> str:
    return f"{head.origin}#{head.slice}"


#: Bytes up to which a document is read to see whether it was signed before somebody spaced it anew: in memory it takes
#: many times as much, and nobody is believed yet.
_RESPACED: Final = 1024 * 1024
_NOT_AS_WRITTEN: Final = (
    "is not signed by this service as it stands, and too large to be read all the same",
    "Import it as it was written, or have an admin who knows where it comes from do it with `trust` (`--trust`).",
)


def export_operation(
    commands: Commands, requester: User, operation_id: int, *, to: str | None = None, inline: int = INLINE
) -> bytes:
    """The signed document of an operation at rest, which is moved with it: it is not resumed here any more.

    Results are inlined up to so many bytes in all. Raises OperationNotFound, DocumentNotWritten, VersionPassed.
    """
    commands.show(requester, operation_id)
    document = export(commands.engine, Wish(operation_id, requester.name), to, inline)
    return commands.engine.keys.sealed(document)


def import_operation(
    commands: Commands, requester: User, content: bytes, *, trust: bool = False, lenient: bool = False
) -> tuple[View, bool]:
    """Make an operation of a document; False with it when that was done before. It is paused, or has ended.

    Only an admin may `trust` one that no key of this service has signed. Raises DocumentMalformed, DocumentUntrusted,
    TrustNeedsAdmin, DocumentOlder, OperationAtWork, and what `told_by` raises.
    """
    if trust and not requester.is_admin:
        raise TrustNeedsAdmin("import a workflow.json that this service has not signed")
    document = believed(content, None if trust else commands.engine.keys)
    known = known_of(commands.workflows)
    head, steps = told_by(commands.engine, document, known, is_ours=not trust, lenient=lenient)
    new_id, is_new = bring_in(commands.engine, head, steps, requester, known.flow_options(head))
    return commands.show(requester, new_id), is_new


def advance(
    content: bytes, budget: Budget, workflows: Workflows, keys: Keys, *, lenient: bool = False, tell: Tell | None = None
) -> Document:
    """Run the next steps that a document tells of in this process; returns the document of the next slice.

    Where there are keys, one of them must have signed it. `tell` is told how far that is. Raises DocumentMalformed,
    DocumentUntrusted, and what `pausable.engine.local.advance` raises.
    """
    document = believed(content, keys or None)
    return local.advance(document, budget, known_of(workflows), is_ours=bool(keys), lenient=lenient, tell=tell)


@uncollected
def believed(content: bytes, keys: Keys | None) -> Document:
    """The document that these bytes hold, which one of the keys must have signed: nothing else of it is read before.

    Only what may have been signed here is parsed, and of that no more than takes little memory.
    Raises DocumentMalformed, DocumentUntrusted.
    """
    if keys is None or len(content) > LARGEST:
        return checked_any(parsed(content))
    if keys.has_sealed(content):
        return checked_any(parsed(content, is_ours=True))
    keys.demand_named(content)
    if len(content) > _RESPACED:
        raise DocumentUntrusted(*_NOT_AS_WRITTEN)
    document = parsed(content)
    if isinstance(document, dict):
        keys.demand_signed(document)
    return checked_any(document)


def known_of(workflows: Workflows) -> Known:
    """What an engine needs to know of these workflows."""

    def compile_(
        engine: Engine, name: str, arguments: dict[str, Any], operation_id: int
    ) -> tuple[Graph, tuple[str, ...]]:
        recipe = workflows.get(name)
        canvas = recipe.canvas(operation_id, recipe.validate(arguments))
        own = flow_policy(canvas)
        policy = recipe.policy.joined(name, own) if own else recipe.policy
        return start.graph_of(engine, canvas, operation_id, recipe.pause_every), policy.reference

    return Known({one.name: one.policy for one in workflows}, compile_)
