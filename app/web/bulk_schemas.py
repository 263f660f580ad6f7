"""The shapes of what is asked of many operations at once, and of what is told of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from app.domain.bulk import Verb
from app.domain.states import Completion
from app.web.moments import Moment
from app.web.schemas import Asked, CancelRequest, Id, Limit, Name, NeverSaid

_C = Completion
_AT = "Those that stand here now; may be given more than once. Without it, those that it would change."
_RATE = "How many a minute at the most; without it, as many as go. Where body and query both say it, the body counts."


def _whole(value: object) -> object:
    """JSON makes no difference between 60 and 60.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Rate = Annotated[int, Field(ge=1, le=60_000), BeforeValidator(_whole)]
PerMinute = Annotated[_Rate | None, Field(examples=[60], description=_RATE)]


class BulkPath(Asked):
    """Which bulk."""

    bulk_id: int = Field(ge=1, description="The bulk's id.")


class BulkQuery(Asked):
    """Which operations are meant: those of a workflow, or that stand somewhere, or both; one must be said."""

    workflow: Name = Field(None, description="Those of this workflow.")
    per_minute: Annotated[PerMinute, NeverSaid()] = None


class BulkPauseQuery(BulkQuery):
    """Which operations to pause."""

    completion: list[Literal[_C.SCHEDULED, _C.IN_PROGRESS, _C.REQUESTING_PAUSE, _C.PAUSED]] = Field([], description=_AT)


class BulkResumeQuery(BulkQuery):
    """Which operations to resume."""

    completion: list[Literal[_C.PAUSED, _C.REQUESTING_PAUSE]] = Field([], description=_AT)


class BulkCancelQuery(BulkPauseQuery):
    """Which operations to cancel."""


class BulksQuery(Asked):
    """Which part of the list to give."""

    after: Id = Field(None, description="Only those older than this one.")
    limit: Limit = 50


class BulkRequest(CancelRequest):
    """Why, and how gently."""

    per_minute: PerMinute = None


class BulkPauseRequest(BulkRequest):
    """Why, how gently, and until when."""

    resume_at: Moment = Field(None, description="When the service resumes each of them; see `POST …/pause`.")


class Refusal(BaseModel):
    """Why some of them have not done as asked."""

    reason: str = Field(description="The end of a problem's type; or `moved-on`: somebody had changed it since.")
    count: int
    operations: list[int] = Field(description="The ids of the first of them; some of those that moved on are not told.")


class Bulk(BaseModel):
    """The same asked of many operations, and how far that has come."""

    id: int
    verb: Verb
    workflow: str | None
    completion: list[Completion] = Field(description="Where the operations stood that are meant.")
    reason: str | None
    resume_at: datetime | None
    per_minute: int | None
    state: Literal["RUNNING", "DONE", "STOPPED"]
    total: int = Field(description="How many operations were meant when it was asked for; later ones are not.")
    done: int = Field(description="How many have done as asked.")
    refused: int = Field(description="How many have not: see `refusals`.")
    left: int = Field(description="How many are yet to be asked, or were when it was stopped.")
    refusals: list[Refusal]
    requester_id: int
    created_at: datetime
    finished_at: datetime | None
    stopped_by: str | None
    links: dict[str, str]


class BulkPage(BaseModel):
    """Bulks, newest first."""

    bulks: list[Bulk]
    next: str | None
