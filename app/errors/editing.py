"""Errors about editing an operation at rest, and taking that back."""

from __future__ import annotations


class PatchMalformed(Exception):
    """A body is no merge patch of what can be edited."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The patch cannot be used: {why}.")


class EditRefused(Exception):
    """What a patch would change of an operation cannot be changed; `why` goes on from its sentence."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The operation cannot be edited so: {why}.")


class NothingToUndo(Exception):
    """No edit of the operation is left that could be taken back."""

    def __init__(self, operation_id: int, completion: str) -> None:
        self.operation_id = operation_id
        self.completion = completion
        super().__init__(f"No edit of operation {operation_id} is left to be taken back.")


class UndoTooLate(Exception):
    """A step has started since the edit: what it was given cannot be taken back."""

    def __init__(self, operation_id: int, completion: str) -> None:
        self.operation_id = operation_id
        self.completion = completion
        super().__init__(f"Operation {operation_id} has gone on since it was edited: that is taken back no more.")
