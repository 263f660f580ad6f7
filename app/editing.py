"""What a person may ask about the rest of a paused operation: to edit it, and to take that back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.errors import TrustNeedsAdmin
from app.execution import editing
from app.execution.steering import Wish
from app.store.edits import list_edits

if TYPE_CHECKING:
    from collections.abc import Collection

    from app.commands import Commands, View
    from app.store.edits import Edit
    from app.store.users import User


def edit(
    commands: Commands,
    requester: User,
    operation_id: int,
    patch: Any,
    *,
    reason: str | None = None,
    digests: Collection[str] | None = None,
) -> tuple[View, bool]:
    """Change what remains as a merge patch says: see `app.domain.editing`; False with it when that is so already.

    With `digests`, its workflow.json must have one of these. Raises OperationNotFound, TrustNeedsAdmin, PatchMalformed,
    EditRefused, MoveRefused, VersionPassed, OperationMoved.
    """
    _demand_editor(commands, requester, operation_id)
    changed = editing.edit(commands.engine, Wish(operation_id, requester.name, reason), patch, digests)
    return commands.show(requester, operation_id), changed


def undo(
    commands: Commands, requester: User, operation_id: int, *, reason: str | None = None, version: int | None = None
) -> View:
    """Take the newest edit back that is left.

    Raises OperationNotFound, TrustNeedsAdmin, NothingToUndo, UndoTooLate, VersionPassed, OperationMoved.
    """
    _demand_editor(commands, requester, operation_id)
    editing.undo(commands.engine, Wish(operation_id, requester.name, reason, version))
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
