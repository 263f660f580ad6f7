"""What a person may ask about an operation without changing it, beyond how it stands: why it does not move."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.execution.explaining import explanation

if TYPE_CHECKING:
    from app.commands import Commands
    from app.domain.explaining import Explanation
    from app.store.users import User


def explain(commands: Commands, requester: User, operation_id: int) -> Explanation:
    """Why the operation does not move. Raises OperationNotFound."""
    commands.show(requester, operation_id)
    return explanation(commands.engine, operation_id)
