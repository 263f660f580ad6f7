"""The shapes of requests, which are checked against them, and of answers, which the OpenAPI document describes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from pausable.model.bulk import Verb
from pausable.model.states import Completion, StepState

from .requests import Moment


class Check(BaseModel):
    """How one part stands."""

    ok: bool
    detail: str


class FieldFault(BaseModel):
    """What is wrong with one field of a request."""

    place: str = Field(alias="in", description="body, query, header or path")
    field: str
    message: str


class Finding(BaseModel):
    """What is found before an operation goes on; what does not apply is null."""

    kind: Literal[
        "document_unusable", "task_gone", "call_misfits", "step_changed", "workflow_changed", "code_unknown",
        "code_outdated", "secret_missing", "store_missing", "result_missing", "no_worker",
    ]  # fmt: skip
    sentence: str
    blocks: bool = Field(description="Whether it is in the way, and does not only warn.")
    accept: Literal["code", "environment"] | None = Field(
        description="What a resume may say to go on in spite of it; one that blocks and has null lets nothing go on."
    )
    about: str | None = Field(description="The task, workflow, secret, store or queue that it is about.")
    step: str | None = Field(description="The first step that it concerns.")
    steps: int | None = Field(description="How many steps it concerns.")


class Problem(BaseModel):
    """What went wrong: RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    completion: Completion | None = Field(None, description="With 409: where the operation stands.")
    operation_id: int | None = Field(None, description="Which operation it is about.")
    version: int | None = Field(None, description="With 412: the version that the operation is at.")
    near: list[str] = Field([], description="With an unknown workflow: names that look like it.")
    errors: list[FieldFault] = Field([], description="With 422: every field that is wrong.")
    findings: list[Finding] = Field([], description="With `preflight-failed`: all that is in the way.")
    checks: dict[str, Check] = Field({}, description="With 503: how each part stands.")


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


class EditQuery(Asked):
    """Why; the body is the patch alone."""

    reason: Annotated[Reason, NeverSaid()] = None


class Difference(BaseModel):
    """One place that an edit changed."""

    at: str = Field(examples=["steps.render.kwargs.currency"])
    old: Any = Field(description="What stood there; long values are cut.")
    new: Any


class Edit(BaseModel):
    """A change that a person made of what remains of a paused operation."""

    id: int
    at: datetime
    who: str
    why: str | None
    diff: list[Difference]
    undone_at: datetime | None
    undone_by: str | None


class EditPage(BaseModel):
    """Edits in the order they were made."""

    edits: list[Edit]
    next: str | None


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
