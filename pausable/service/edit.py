"""Edit what remains of a paused operation, and undo edits."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pausable.canvas.values import compact
from pausable.db.history import (
    Edit,
    change_calls,
    change_results,
    insert_edit,
    last_edit,
    list_edits,
    mark_undone,
    runs_of,
)
from pausable.db.operations import find_operation
from pausable.documents.check import check_tasks
from pausable.documents.model import carried_value, handed_inputs
from pausable.documents.patch import edited
from pausable.engine.checkpoints import load_stored, small
from pausable.engine.documents import write_document
from pausable.errors import (
    DocumentMalformed,
    EditRefused,
    MoveRefused,
    NothingToUndo,
    OperationNotFound,
    PatchUnfit,
    TasksUnregistered,
    TrustNeedsAdmin,
    UndoTooLate,
    VersionPassed,
)
from pausable.model.graph import numbers_in
from pausable.model.states import Completion
from pausable.results.references import escaped
from pausable.secrets import found_in, redacted, redacted_parts
from pausable.service.operations import Wish, changing_for, demand_here, snapshot_for

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pausable.db.database import Connection
    from pausable.db.operations import Operation
    from pausable.db.users import User
    from pausable.documents.model import StepFacts
    from pausable.documents.patch import Edited
    from pausable.engine.documents import Snapshot
    from pausable.engine.engine import Engine
    from pausable.service.operations import Commands, View

_C = Completion
#: Where an edit can still be taken back, if no step has started since.
_UNDOABLE: Final = frozenset({_C.PAUSED, _C.SCHEDULED, _C.IN_PROGRESS, _C.REQUESTING_PAUSE})
#: Characters of a value that a diff shows.
_SHOWN: Final = 2000


@dataclass(frozen=True, slots=True)
class Change:
    """Calls and results of steps as JSON, by the steps' numbers."""

    calls: dict[int, str]
    results: dict[int, str | None]

    @classmethod
    def from_json(cls, text: str) -> Change:
        """What `as_json` wrote."""
        kept = json.loads(text)
        return cls(*({int(number): one for number, one in kept[part].items()} for part in ("calls", "results")))

    def as_json(self) -> str:
        """The change as the table keeps it."""
        return json.dumps({"calls": self.calls, "results": self.results})

    def upon(self, steps: Collection[StepFacts]) -> tuple[StepFacts, ...]:
        """The steps as they are once it is made."""
        return tuple(map(self._upon, steps))

    def before(self, steps: Collection[StepFacts]) -> Change:
        """What takes it back."""
        known = {step.number: step for step in steps}
        results = {one: None if known[one].result is None else compact(known[one].result) for one in self.results}
        return Change({one: compact(known[one].signature) for one in self.calls}, results)

    def make(self, tx: Connection, operation_id: int) -> bool:
        """Make it in the table; False where a step is not as it must be for that."""
        return change_calls(tx, operation_id, self.calls) and change_results(tx, operation_id, self.results)

    def _upon(self, step: StepFacts) -> StepFacts:
        if step.number in self.calls:
            return replace(step, signature=json.loads(self.calls[step.number]))
        if step.number in self.results:
            return replace(step, result=json.loads(self.results[step.number] or "null"))
        return step


def apply_edit(engine: Engine, wish: Wish, patch: Any, digests: Collection[str] | None = None) -> bool:
    """Change what remains of a paused operation as a merge patch says; False where that is so already.

    With `digests`, its document must have one of these. Raises PatchMalformed, EditRefused, MoveRefused, VersionPassed,
    OperationMoved.
    """
    while (changed := _edit(engine, wish, patch, digests)) is None:
        continue  # somebody has changed it since the look at it
    return changed


def _edit(engine: Engine, wish: Wish, patch: Any, digests: Collection[str] | None) -> bool | None:
    snapshot = _at_rest(engine, wish)
    if digests is not None and snapshot.operation.workflow_digest not in digests:
        raise VersionPassed(wish.operation_id, snapshot.operation.version)
    steps = snapshot.steps
    made = _made(snapshot, patch)
    if not made.diff:
        return False
    change = _change(engine, snapshot, made)
    after = _written(engine, snapshot, change)
    with changing_for(engine, wish) as op:
        operation = op.operation
        if operation != snapshot.operation:
            return None
        if not change.make(op.tx, operation.id):
            raise VersionPassed(operation.id, operation.version)
        row = {"operation_id": operation.id, "at": op.now, "who": wish.who, "why": _told(wish.why)}
        runs = runs_of(op.tx, operation.id)
        kept = {"diff": _shown(made.diff), "former": change.before(steps).as_json(), "runs": runs}
        number = insert_edit(op.tx, row | kept)
        what = f"edit {number}: {', '.join(one['at'] for one in made.diff)[:_SHOWN]}"
        op.move(after, who=wish.who, why=_why(what, wish))
    return True


def _made(snapshot: Snapshot, patch: Any) -> Edited:
    """What the patch makes of it. Raises PatchMalformed, EditRefused."""
    try:
        return edited(snapshot.steps, _values(snapshot), patch)
    except PatchUnfit as unfit:
        raise _refused(snapshot, unfit.why) from None


def _refused(snapshot: Snapshot, why: str) -> EditRefused:
    return EditRefused(snapshot.operation.id, snapshot.operation.completion, why)


def _change(engine: Engine, snapshot: Snapshot, made: Edited) -> Change:
    """What was edited as the table has it, large results in their store. Raises EditRefused."""
    if name := found_in(compact([list(made.calls.values()), list(made.results.values())])):
        raise _refused(snapshot, f"the patch holds the secret {name}, which is to be named where it is used")
    slugs = {step.number: step.slug for step in snapshot.steps}
    kept = partial(small, engine, snapshot.operation.id)
    return Change(
        {number: compact(call) for number, call in made.calls.items()},
        {number: kept(slugs[number], escaped(compact(value))) for number, value in made.results.items()},
    )


def undo_edit(engine: Engine, wish: Wish) -> Edit:
    """Take the newest edit back, unless a step has started since.

    Raises NothingToUndo, UndoTooLate, MoveRefused, VersionPassed, OperationMoved.
    """
    while (undone := _undo(engine, wish)) is None:
        continue  # somebody has changed it since the look at it
    return undone


def _undo(engine: Engine, wish: Wish) -> Edit | None:
    with engine.database.read() as tx:
        operation, last = find_operation(tx, wish.operation_id), last_edit(tx, wish.operation_id)
        runs = runs_of(tx, wish.operation_id)
    if operation is None:
        raise OperationNotFound(wish.operation_id)
    if last is None:
        raise NothingToUndo(operation.id, operation.completion)
    if operation.completion not in _UNDOABLE or runs != last.runs:
        raise UndoTooLate(operation.id, operation.completion)
    change = Change.from_json(last.former)
    after = operation
    if operation.completion is _C.PAUSED:
        snapshot = _at_rest(engine, wish)
        operation, after = snapshot.operation, _written(engine, snapshot, change)
    with changing_for(engine, wish) as op:
        if runs_of(op.tx, operation.id) != last.runs:
            raise UndoTooLate(operation.id, operation.completion)
        if op.operation != operation:
            return None
        if not (mark_undone(op.tx, last.id, wish.who, op.now) and change.make(op.tx, operation.id)):
            raise VersionPassed(operation.id, operation.version)
        op.move(after, who=wish.who, why=_why(f"edit {last.id} taken back", wish))
    return last


def _at_rest(engine: Engine, wish: Wish) -> Snapshot:
    """The operation and its steps. Raises OperationNotFound, VersionPassed, MoveRefused, OperationMoved."""
    snapshot = snapshot_for(engine, wish)
    operation = snapshot.operation
    if operation.completion is not _C.PAUSED:
        raise MoveRefused(operation.id, operation.completion, "edited: only a PAUSED one can be")
    demand_here(operation)
    return snapshot


def _values(snapshot: Snapshot) -> Mapping[int, Any]:
    """The results that the next steps are handed, wherever they lie."""
    needed = {number for inputs in handed_inputs(snapshot.steps) for number in numbers_in(inputs)}
    return {step.number: load_stored(compact(step.result)) for step in snapshot.steps if step.number in needed}


def _written(engine: Engine, snapshot: Snapshot, change: Change) -> Operation:
    """Write the document that the change makes; returns the operation that points to it. Raises EditRefused."""
    after = replace(snapshot, steps=change.upon(snapshot.steps))
    try:
        check_tasks(after.document(), engine.app.tasks.__contains__)
        stored = write_document(engine, after)
    except (DocumentMalformed, TasksUnregistered) as why:
        raise _refused(snapshot, str(why).rstrip(".")) from why
    return replace(
        snapshot.operation,
        result=compact(carried_value(after.steps)),
        workflow_store=stored["workflow_store"],
        workflow_digest=stored["workflow_digest"],
    )


def _shown(diff: list[dict[str, Any]]) -> str:
    """The diff as it is kept and shown, without the secrets that this process knows, and with long values cut."""
    return json.dumps(redacted_parts([{name: _short(part) for name, part in one.items()} for one in diff]))


def _short(part: Any) -> Any:
    text = compact(part)
    return part if len(text) <= _SHOWN else f"{redacted(text)[:_SHOWN]}…"


def _told(why: str | None) -> str | None:
    return redacted(why) if why else why


def _why(what: str, wish: Wish) -> str:
    return "; ".join(filter(None, [what, wish.why]))


def edit(
    commands: Commands,
    requester: User,
    operation_id: int,
    patch: Any,
    *,
    reason: str | None = None,
    digests: Collection[str] | None = None,
) -> tuple[View, bool]:
    """Change what remains as a merge patch says: see `pausable.documents.patch`; False with it when that is so already.

    With `digests`, its workflow.json must have one of these. Raises OperationNotFound, TrustNeedsAdmin, PatchMalformed,
    EditRefused, MoveRefused, VersionPassed, OperationMoved.
    """
    _demand_editor(commands, requester, operation_id)
    changed = apply_edit(commands.engine, Wish(operation_id, requester.name, reason), patch, digests)
    return commands.show(requester, operation_id), changed


def undo(
    commands: Commands, requester: User, operation_id: int, *, reason: str | None = None, version: int | None = None
) -> View:
    """Take the newest edit back that is left.

    Raises OperationNotFound, TrustNeedsAdmin, NothingToUndo, UndoTooLate, VersionPassed, OperationMoved.
    """
    _demand_editor(commands, requester, operation_id)
    undo_edit(commands.engine, Wish(operation_id, requester.name, reason, version))
    return commands.show(requester, operation_id)


def _demand_editor(commands: Commands, requester: User, operation_id: int) -> None:
    """Demand that this requester may edit the operation: an edit gives code arguments that no workflow has checked."""
    workflow = commands.show(requester, operation_id).operation.workflow
    if not requester.is_admin and commands.engine.policies.editor_of(workflow) == "admin":
        raise TrustNeedsAdmin(
            f"edit operations of {workflow!r} here, as edits pass the checks of the workflow by: "
            "EDITS=owner, or @workflow(…, editable='owner'), lets those do it whom they belong to"
        )


def edits(commands: Commands, requester: User, operation_id: int, *, after: int = 0, limit: int = 1000) -> list[Edit]:
    """The operation's edits in their order, those after the edit `after`."""
    commands.show(requester, operation_id)
    with commands.engine.database.glance() as tx:
        return list_edits(tx, operation_id, after=after, limit=limit)
