"""Errors about operations: what was asked of one cannot be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.domain.findings import Finding


class OperationNotFound(Exception):
    """There is no operation of that id, or it is not this requester's."""

    def __init__(self, operation_id: int) -> None:
        self.operation_id = operation_id
        super().__init__(f"There is no operation {operation_id}, or it is not yours.")


class MoveRefused(Exception):
    """An operation cannot go from where it stands to where it was asked to go."""

    def __init__(self, operation_id: int, completion: str, wanted: str) -> None:
        self.operation_id = operation_id
        self.completion = completion
        super().__init__(f"Operation {operation_id} is {completion}: it cannot become {wanted}.")


class NothingToRetry(Exception):
    """An operation has failed without a step that has: code of its workflow ended it so."""

    def __init__(self, operation_id: int, completion: str) -> None:
        self.operation_id = operation_id
        self.completion = completion
        super().__init__(
            f"Operation {operation_id} is {completion}, but no step of it has failed: a state handler of its workflow "
            "ended it so, and there is nothing to run again."
        )


class OperationThinned(Exception):
    """An operation cannot be retried, for rows of it are gone: `prune` has begun to take it away."""

    def __init__(self, operation_id: int, completion: str) -> None:
        self.operation_id = operation_id
        self.completion = completion
        super().__init__(
            f"Operation {operation_id} stays {completion}: parts of it were taken away by `flask operations prune`. "
            "Start it anew."
        )


class PictureTooLarge(Exception):
    """An operation has too many steps, or edges between them, for a picture of it to be drawn."""

    def __init__(self, operation_id: int, steps: int, edges: int) -> None:
        self.operation_id = operation_id
        super().__init__(
            f"Operation {operation_id} is not drawn: a picture is made of {steps:,} steps and {edges:,} edges between "
            "them at the most. List its steps instead."
        )


class VersionPassed(Exception):
    """The operation has changed since the version that the request was made for."""

    def __init__(self, operation_id: int, version: int) -> None:
        self.operation_id = operation_id
        self.version = version
        super().__init__(f"Operation {operation_id} has changed: it is at version {version} now. Read it again.")


class IdempotencyKeyReused(Exception):
    """An idempotency key came again with another request than the first time."""

    def __init__(self, key: str, operation_id: int) -> None:
        self.key = key
        self.operation_id = operation_id
        super().__init__(f"The idempotency key {key!r} already started operation {operation_id} with another request.")


class DocumentUnusable(Exception):
    """The workflow.json of a paused operation is missing or is not what was written, or cannot be run here."""

    def __init__(self, operation_id: int, completion: str, why: str, remedy: str | None = None) -> None:
        self.operation_id = operation_id
        self.completion = completion
        remedy = remedy or f"`flask operations rebuild {operation_id}` writes it anew from the database."
        super().__init__(f"Operation {operation_id} stays {completion}: {why}. {remedy}")


class PreflightFailed(Exception):
    """An operation is not resumed, for it would not go on as it was paused: `findings` tells all that is in the way."""

    def __init__(self, operation_id: int, completion: str, findings: Sequence[Finding]) -> None:
        self.operation_id = operation_id
        self.completion = completion
        self.findings = findings
        others = f" {len(findings) - 1} more findings are in the way." if len(findings) > 1 else ""
        words = sorted({one.accept for one in findings if one.accept})
        is_in_their_hands = all(one.accept for one in findings)
        remedy = f"Bring back what it was paused with, or answer for it with accept={','.join(words)}."
        if not is_in_their_hands:
            remedy = "Bring back the code that it needs, and resume it then."
        super().__init__(f"Operation {operation_id} stays {completion}: {findings[0].sentence}{others} {remedy}")


class DocumentMalformed(Exception):
    """A workflow.json is not one that this service reads, or another operation's; `why` goes on from "it"."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"The workflow.json {why}.")


class DocumentUnwritable(DocumentMalformed):
    """The workflow.json that a slice has come to is one that no service would read: the operation cannot go on."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.args = (
            f"The workflow.json of what the slice has come to {why}: its reader would refuse it, so it is not handed "
            "on. The steps of this slice have run.",
        )


class TasksUnregistered(Exception):
    """A workflow.json may run `tasks` that no code here is registered for."""

    def __init__(self, tasks: list[str]) -> None:
        self.tasks = tasks
        named = ", ".join(task[:80] for task in tasks[:5])
        super().__init__(f"No code is registered here for {named}{' and others' * (len(tasks) > 5)}.")


class DocumentNotWritten(Exception):
    """The operation has no workflow.json now: only a paused one has."""

    def __init__(self, operation_id: int, completion: str) -> None:
        self.operation_id = operation_id
        self.completion = completion
        super().__init__(f"Operation {operation_id} is {completion}: only a PAUSED one has a workflow.json.")


class ResultMissing(Exception):
    """The result of an operation was asked for that is not COMPLETED, or of a step that has none."""

    def __init__(self, operation_id: int, completion: str, slug: str | None = None) -> None:
        self.operation_id = operation_id
        self.completion = completion if slug is None else None
        self.slug = slug
        if slug is None:
            message = f"Operation {operation_id} is {completion}: only a COMPLETED one has a result."
        else:
            message = f"Step {slug!r} of operation {operation_id} is {completion}: it has no result."
        super().__init__(message)


class ResultGone(Exception):
    """A result lies in a store, and cannot be read there."""

    def __init__(self, operation_id: int, slug: str | None = None) -> None:
        self.operation_id = operation_id
        self.slug = slug
        whose = f"operation {operation_id}" if slug is None else f"step {slug!r} of operation {operation_id}"
        super().__init__(f"The result of {whose} cannot be read where it is kept; the service's log tells why.")


class Stalled(Exception):
    """An operation that runs in this process has not ended, and nothing of it could run: the engine is at fault."""

    def __init__(self, operation_id: int) -> None:
        self.operation_id = operation_id
        super().__init__(f"Nothing of operation {operation_id} can run, and it has not ended.")
