"""The shapes of requests, which are checked against them, and of answers, which the OpenAPI document tells of."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from app.domain.states import Completion, StepState
from app.web.moments import Moment
from app.web.problem_schemas import Check

#: The largest key of the database.
_LARGEST: Final = 2**63 - 1
_KEY: Final = "Made up by the caller for this one request: sent again, it starts nothing twice."


_START_AT: Final = "Before this moment no step of it is started; null: it could start at once."
_RESUME_AT: Final = "When the service resumes it by itself; null: when somebody does."


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


class Progress(BaseModel):
    """How far an operation is, in steps that have ended."""

    done: int
    total: int
    percent: float = Field(description="Rounded down to a tenth: 100 means all of them.")


class InFlight(BaseModel):
    """A step that runs now."""

    step: str
    started_at: datetime
    host: str | None
    process: int | None
    done: int | None = Field(description="How much of it is done, where its code says so: see `cursor.keep`.")
    total: int | None = Field(description="Of how much.")
    confirmed: bool = Field(description="False: its worker fell silent, and nobody knows whether its code still runs.")


class Failure(BaseModel):
    """What a step raised."""

    step: str
    type: str
    message: str
    traceback: str


class StepError(BaseModel):
    """What a step raised last."""

    type: str
    message: str
    traceback: str | None = None


class OperationStatus(BaseModel):
    """Where an operation stands, as briefly as it can be told."""

    id: int
    completion: Completion
    reason: str | None = Field(description="Why it was asked to pause, or why it cannot pause yet.")
    progress: Progress
    in_flight: list[InFlight] = Field(description="The steps that run now; none once it is PAUSED or has ended.")
    start_at: datetime | None = Field(description=_START_AT)
    resume_at: datetime | None = Field(description=_RESUME_AT)


class OperationSummary(BaseModel):
    """An operation in a list."""

    id: int
    workflow: str
    completion: Completion
    reason: str | None
    progress: Progress
    requester_id: int
    version: int = Field(description="Raised by every change; quoted, it is the ETag.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    start_at: datetime | None = Field(description=_START_AT)
    resume_at: datetime | None = Field(description=_RESUME_AT)
    moved_at: datetime | None = Field(description="Since when it may go on elsewhere alone.")
    moved_to: str | None = Field(description="Where it was moved to, in the words of who moved it.")
    links: dict[str, str] = Field(description="Where to read more, and what can be asked of it where it stands.")


class Operation(OperationSummary):
    """An operation, whole but for its steps and its history."""

    in_flight: list[InFlight]
    arguments: dict[str, Any]
    result: Any = Field(description="When COMPLETED, the last step's; when PAUSED, what the rest goes on with.")
    error: Failure | None


class OperationPage(BaseModel):
    """Operations, newest first."""

    operations: list[OperationSummary]
    next: str | None = Field(description="Where the next, older ones are; null when there are none.")


class Step(BaseModel):
    """One task call inside an operation."""

    number: int
    slug: str
    task: str
    state: StepState
    pause_point: int | None = Field(description="The number of the pause point that it waits behind, if any.")
    runs: int
    losses: int
    done: int | None = Field(description="How much of it was done at the place that it kept last; null in the end.")
    total: int | None = Field(description="Of how much.")
    message: str | None = Field(description="What a signal, a state handler or a trigger said of its state.")
    result: Any
    error: StepError | None
    due_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


class StepPage(BaseModel):
    """Steps in topological order."""

    steps: list[Step]
    next: str | None


class Event(BaseModel):
    """One change in an operation's history."""

    id: int
    at: datetime
    who: str
    step: str | None = Field(description="The slug of the step that changed; null for the operation itself.")
    old: str | None
    new: str
    why: str | None


class EventPage(BaseModel):
    """Events in the order they happened."""

    events: list[Event]
    next: str | None


class Workflow(BaseModel):
    """A recipe that operations can be started from."""

    name: str
    summary: str
    pause_every: int = Field(description="After how many links of its chain a pause is noticed.")
    parameters: dict[str, Any] = Field(description="The JSON Schema of the arguments.")


class WorkflowList(BaseModel):
    """All workflows, by name."""

    workflows: list[Workflow]


class Health(BaseModel):
    """The web server answers."""

    status: str


class Readiness(BaseModel):
    """How each part stands that the service needs."""

    status: str
    checks: dict[str, Check]
