"""Errors about editing an operation at rest, and taking that back."""

from __future__ import annotations


class PatchMalformed(Exception):
    """A body is no merge patch of what can be edited."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The patch cannot be used: {why}.")


class PatchUnfit(Exception):
    """What a patch would change cannot be changed; `why` goes on from "it cannot be edited so:"."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"It cannot be edited so: {why}.")


class EditRefused(Exception):
    """What a patch would change of an operation cannot be changed."""

    def __init__(self, operation_id: int, completion: str, why: str) -> None:
        self.operation_id = operation_id
        self.completion = completion
        super().__init__(f"Operation {operation_id} stays as it is: {why}.")


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
