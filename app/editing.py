"""What a person may ask about the rest of a paused operation: to edit it, and to take that back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

    With `digests`, its workflow.json must have one of these. Raises OperationNotFound, PatchMalformed, EditRefused,
    MoveRefused, VersionPassed, OperationMoved.
    """
    commands.show(requester, operation_id)
    changed = editing.edit(commands.engine, Wish(operation_id, requester.name, reason), patch, digests)
    return commands.show(requester, operation_id), changed


def undo(
    commands: Commands, requester: User, operation_id: int, *, reason: str | None = None, version: int | None = None
) -> View:
    """Take the newest edit back that is left. Raises NothingToUndo, UndoTooLate, VersionPassed, OperationMoved."""
    commands.show(requester, operation_id)
    editing.undo(commands.engine, Wish(operation_id, requester.name, reason, version))
    return commands.show(requester, operation_id)


def edits(commands: Commands, requester: User, operation_id: int, *, after: int = 0, limit: int = 1000) -> list[Edit]:
    """The operation's edits in their order, those after the edit `after`."""
    commands.show(requester, operation_id)
    with commands.engine.database.glance() as tx:
        return list_edits(tx, operation_id, after=after, limit=limit)
