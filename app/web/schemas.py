"""The shapes of requests, which are checked against them, and of answers, which the OpenAPI document describes."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from pausable.model.states import Completion

from .requests import Moment

#: The largest key of the database.
_LARGEST: Final = 2**63 - 1
_KEY: Final = "Made up by the caller for this one request: sent again, it starts nothing twice."


class NeverSaid:
    """Marks a parameter that is None when it is not given; no caller can say so, nor does the document."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema without its null."""
        said: JsonSchemaValue = handler(schema)["anyOf"][0]
        return said


Limit = Annotated[int, Field(ge=1, le=1000, description="How many to give at the most.")]
Reason = Annotated[
    str | None,
    Field(max_length=1000, pattern=r"^[^\x00]*$", examples=["lunch"], description="Why; it is kept in the history."),
]
Key = Annotated[str | None, Field(min_length=1, max_length=255, pattern=r"^[ -~]+$"), NeverSaid()]
Id = Annotated[int | None, Field(ge=1, le=_LARGEST), NeverSaid()]
Place = Annotated[int | None, Field(ge=0, le=_LARGEST), NeverSaid()]
#: Characters of a name in a request.
LONGEST_NAME: Final = 255
#: Without NUL, which PostgreSQL takes in no text.
Name = Annotated[str | None, NeverSaid(), Field(max_length=LONGEST_NAME, pattern=r"^[^\x00]*$")]
Tags = Annotated[str | None, NeverSaid(), Field(description="Entity tags, as in the header ETag of an earlier answer.")]


class Asked(BaseModel):
    """A part of a request: what it does not name is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OperationPath(Asked):
    """Which operation."""

    operation_id: int = Field(ge=1, description="The operation's id.")


class StartHeader(Asked):
    """The headers of a start."""

    idempotency_key: Key = Field(None, alias="Idempotency-Key", description=_KEY)


class MoveHeader(Asked):
    """The headers of a request that moves an operation."""

    if_match: Tags = Field(None, alias="If-Match")


class ReadHeader(Asked):
    """The headers of a request that reads an operation."""

    if_none_match: Tags = Field(None, alias="If-None-Match")


class OperationsQuery(Asked):
    """Which operations to list."""

    completion: list[Completion] = Field([], description="Only those that stand here; may be given more than once.")
    workflow: Name = Field(None, description="Only those of this workflow.")
    after: Id = Field(None, description="Only those older than this one.")
    limit: Limit = 50


class PageQuery(Asked):
    """Which part of a list to give."""

    after: Place = Field(None, description="The last page's last `number` or `id`.")
    limit: Limit = 100


class PauseQuery(Asked):
    """How long to wait for a pause."""

    wait: float = Field(
        0, ge=0, le=60, allow_inf_nan=False, description="Seconds to wait until it is PAUSED: 60 at the most."
    )
    accept: Literal["unconfirmed"] | None = Field(
        None, description="`unconfirmed`: wait no longer for workers that fell silent; the history tells who said so."
    )


class StartRequest(Asked):
    """What to start."""

    workflow: str = Field(
        max_length=LONGEST_NAME, examples=["add-numbers"], description="A name that GET /workflows lists."
    )
    arguments: dict[str, Any] = Field(
        {}, examples=[{"start": 1, "delay": 2}], description="What the workflow asks for: see its `parameters`."
    )
    start_at: Moment = Field(
        None,
        examples=["2026-11-21T20:00:00Z"],
        description="Not to start before: a moment with its offset from UTC, ten years ahead at the most.",
    )


class CancelRequest(Asked):
    """Why to cancel."""

    reason: Reason = None


class RetryRequest(CancelRequest):
    """Why to retry."""


class PauseRequest(CancelRequest):
    """Why to pause, and how soon."""

    now: bool = Field(False, strict=True, description="Stop the steps that run: they run again when it is resumed.")
    resume_at: Moment = Field(
        None,
        examples=["2026-11-22T06:00:00+01:00"],
        description="When the service resumes it, unless somebody pauses or resumes it before.",
    )


class ResumeRequest(CancelRequest):
    """Why to resume."""


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


class EditQuery(Asked):
    """Why; the body is the patch alone."""

    reason: Annotated[Reason, NeverSaid()] = None
