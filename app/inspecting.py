"""What a person may ask about an operation without changing it: why it does not move, and whether it can go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.execution.explaining import explanation
from app.execution.preflight import preflight as findings_of

if TYPE_CHECKING:
    from app.commands import Commands
    from app.domain.explaining import Explanation
    from app.domain.findings import Finding
    from app.store.users import User


def explain(commands: Commands, requester: User, operation_id: int) -> Explanation:
    """Why the operation does not move. Raises OperationNotFound."""
    commands.show(requester, operation_id)
    return explanation(commands.engine, operation_id)


def preflight(commands: Commands, requester: User, operation_id: int) -> list[Finding]:
    """What is found before the operation goes on, what is in its way first. Raises OperationNotFound."""
    commands.show(requester, operation_id)
    return findings_of(commands.engine, operation_id)
