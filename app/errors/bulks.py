"""Errors about asking the same of many operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.errors.operations import IdempotencyKeyReused

if TYPE_CHECKING:
    from collections.abc import Iterable


class BulkNotFound(Exception):
    """There is no bulk of that id, or it is not this requester's."""

    def __init__(self, bulk_id: int) -> None:
        super().__init__(f"There is no bulk {bulk_id}, or it is not yours.")


class BulkRefused(Exception):
    """What is asked of many operations is not asked in earnest, or of the wrong ones."""


class BulkUnbounded(BulkRefused):
    """Neither a workflow nor where the operations stand was named."""

    def __init__(self, verb: str) -> None:
        super().__init__(
            f"To {verb} many operations, say which: those of a workflow, those that stand somewhere, or both."
        )


class BulkMisdirected(BulkRefused):
    """Operations that stand there are never changed by what is asked."""

    def __init__(self, verb: str, completion: str, possible: Iterable[str]) -> None:
        super().__init__(f"To {verb} an operation that is {completion} changes nothing; name {', '.join(possible)}.")


class BulkKeyReused(IdempotencyKeyReused):
    """An idempotency key came again with another request than the first time."""

    def __init__(self, key: str, bulk_id: int) -> None:
        self.key = key
        Exception.__init__(self, f"The idempotency key {key!r} already asked for bulk {bulk_id} with another request.")


class BulkMovedOn(Exception):
    """Another worker has gone on with the bulk, or it was stopped."""

    def __init__(self, bulk_id: int) -> None:
        super().__init__(f"Bulk {bulk_id} has moved on.")


class OperationMovedOn(Exception):
    """The operation stands elsewhere than it was looked at a moment ago."""

    def __init__(self, operation_id: int) -> None:
        super().__init__(f"Operation {operation_id} has moved on.")
