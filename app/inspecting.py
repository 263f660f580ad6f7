"""What a person may ask about an operation without changing it: why it does not move, and whether it can go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.execution.explaining import explanation
from app.execution.preflight import preflight as findings_of

if TYPE_CHECKING:
    from app.commands import Commands
    from app.domain.explaining import Explanation
    from app.domain.findings import Finding
    from app.domain.states import Completion
    from app.store.users import User


def explain(commands: Commands, requester: User, operation_id: int) -> Explanation:
    """Why the operation does not move. Raises OperationNotFound."""
    commands.show(requester, operation_id)
    return explanation(commands.engine, operation_id)


def preflight(commands: Commands, requester: User, operation_id: int) -> tuple[Completion, list[Finding]]:
    """Return where the operation stands and what is found before it goes on, what is in its way first.

    Args:
        commands: The commands of the service.
        requester: Who asks.
        operation_id: The operation.

    Returns:
        The completion, and the findings; of an operation that has ended, none.

    Raises:
        OperationNotFound: There is none that the requester may see.
    """
    completion = commands.show(requester, operation_id).operation.completion
    return completion, findings_of(commands.engine, operation_id)
