"""The shapes of what is told of an operation that is only looked at: why it does not move, what a resume finds."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from app.domain.states import Completion
from app.web.problem_schemas import Finding

Kind = Literal[
    "finished", "moved", "paused", "requesting_pause", "requesting_cancel", "document_unwritable", "running",
    "holder_silent", "holder_gone", "holder_unproven", "no_worker", "broker_unreachable", "queued", "retry",
    "scheduled", "waiting",
]  # fmt: skip


class Cause(BaseModel):
    """One reason why an operation stands where it does; what does not apply is null."""

    kind: Kind
    sentence: str
    step: str | None = Field(description="The first step that it concerns.")
    steps: int | None = Field(description="How many steps it concerns.")
    who: str | None = Field(description="Who asked for it.")
    why: str | None
    since: datetime | None
    until: datetime | None = Field(description="When it is over by itself: the start, the retry, the end of the lease.")
    queue: str | None
    host: str | None
    process: int | None
    waits_for: list[str] = Field(description="The steps that are waited for.")


class Explanation(BaseModel):
    """Why an operation does not move, the cause that a person can do most about first."""

    operation_id: int
    completion: Completion
    moving: bool = Field(description="Whether a step of it runs in a worker that lives.")
    summary: str
    causes: list[Cause]


class Preflight(BaseModel):
    """What a resume would find, what is in its way first."""

    operation_id: int
    completion: Completion
    ok: bool = Field(description="Whether it has not ended, and nothing is in the way.")
    findings: list[Finding]
