"""The answers: each is one model, built from what was read, written as JSON, and described by the OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Annotated, Any, ClassVar, Final, Literal, Self
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticSerializationError, to_json

from pausable.db import bulks, history, operations
from pausable.db.steps import Running, ShownStep
from pausable.model import explanation as reasons
from pausable.model.bulk import Verb
from pausable.model.states import ENDED, Completion, StepState
from pausable.model.times import utc
from pausable.results.references import shown
from pausable.secrets import redacted_parts
from pausable.service.operations import View
from pausable.workflows.registry import Workflow as Recipe


def written(value: Any) -> str:
    """Return a value as JSON, whatever its texts hold: half a surrogate has a word in JSON, and no bytes in UTF-8."""
    try:
        return to_json(value).decode()
    except PydanticSerializationError:
        return json.dumps(value, separators=(",", ":"), default=str)


def _rfc3339(seconds: float) -> str:
    """Return a moment in UTC, to the millisecond."""
    return utc(seconds).isoformat(timespec="milliseconds")[:-6] + "Z"


#: Seconds since the epoch, which JSON writes as RFC 3339 does.
Instant = Annotated[
    float,
    PlainSerializer(_rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class Stored:
    """Marks a field whose value is held as JSON text, as the database has it, and written into the answer unparsed.

    Such fields are the last ones of their model.
    """


_set = object.__setattr__
_NONE: Final[frozenset[str]] = frozenset()


class Answer(BaseModel):
    """An answer; its fields are not validated, for they come from the database."""

    model_config = ConfigDict(ser_json_inf_nan="constants")
    #: The names of all fields, of those that are `Stored`, and the latter as the serializer takes them.
    names: ClassVar[tuple[str, ...]] = ()
    stored: ClassVar[tuple[str, ...]] = ()
    excluded: ClassVar[set[str] | None] = None

    @classmethod
    def __pydantic_init_subclass__(cls, **_options: Any) -> None:
        """Find the names of the fields."""
        fields = cls.model_fields.items()
        cls.names = tuple(sorted(cls.model_fields, key=lambda name: name == "next"))  # inherited, and yet the last
        cls.stored = tuple(name for name, field in fields if any(isinstance(mark, Stored) for mark in field.metadata))
        cls.excluded = {*cls.stored} or None

    @classmethod
    def build(cls, row: object, **more: Any) -> Self:
        """Return the answer that a record gives; `more` holds the fields that it does not have under the same name.

        This does what `model_construct` does for a model without defaults, aliases, extra fields and private ones, in
        a tenth of the time.
        """
        made = cls.__new__(cls)
        _set(made, "__dict__", {name: more[name] if name in more else getattr(row, name) for name in cls.names})
        _set(made, "__pydantic_fields_set__", _NONE)
        return made

    def written(self) -> str:
        """Return the answer as JSON."""
        try:
            text = self.__pydantic_serializer__.to_json(self, exclude=self.excluded).decode()
        except PydanticSerializationError:
            text = written(self.model_dump(exclude=self.excluded))
        if not self.stored:
            return text
        held = self.__dict__
        rest = "".join([f',"{name}":{held[name] or "null"}' for name in self.stored])
        return f"{text[:-1]}{rest}}}"


class Page(Answer):
    """A part of a list, and where it goes on."""

    #: The field of its items behind which the next page begins.
    place: ClassVar[str] = "id"

    next: str | None = Field(description="Where the rest of the list is; null when there is none.")

    def written(self) -> str:
        """Return the page as JSON; its items one by one where they cannot be written together."""
        [name] = {*self.names} - {"next"}
        items: list[Answer] = getattr(self, name)
        if items and not items[0].stored:
            with suppress(PydanticSerializationError):
                return self.__pydantic_serializer__.to_json(self).decode()
        return f'{{"{name}":[{",".join([one.written() for one in items])}],"next":{written(self.next)}}}'

    @classmethod
    def of(cls, items: Sequence[Answer], following: str | None) -> Self:
        """Return a page of these items."""
        [name] = {*cls.names} - {"next"}
        return cls.build(None, **{name: items}, next=following)


_START_AT: Final = "Before this moment no step of it is started; null: it could start at once."


_RESUME_AT: Final = "When the service resumes it by itself; null: when somebody does."


Kind = Literal[
    "finished", "moved", "paused", "requesting_pause", "requesting_cancel", "document_unwritable", "running",
    "holder_silent", "holder_gone", "holder_unproven", "no_worker", "broker_unreachable", "queued", "retry",
    "scheduled", "waiting",
]  # fmt: skip


class Check(BaseModel):
    """How one part stands."""

    ok: bool
    detail: str


class FieldFault(BaseModel):
    """What is wrong with one field of a request."""

    place: str = Field(alias="in", description="body, query, header or path")
    field: str
    message: str


class Finding(Answer):
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


class Progress(Answer):
    """How far an operation is, in steps that have ended."""

    done: int
    total: int
    percent: float = Field(description="Rounded down to a tenth: 100 means all of them.")

    @classmethod
    def from_row(cls, one: operations.OperationSummary) -> Self:
        """Return how far an operation is."""
        percent = one.steps_done * 1000 // max(one.steps_total, 1) / 10
        return cls.build(one, done=one.steps_done, total=one.steps_total, percent=percent)


class InFlight(Answer):
    """A step that runs now."""

    step: str
    started_at: Instant
    done: int | None = Field(description="How much of it is done, where its code says so: see `cursor.keep`.")
    total: int | None = Field(description="Of how much.")
    host: str | None
    process: int | None
    confirmed: bool = Field(description="False: its worker fell silent, and nobody knows whether its code still runs.")

    @classmethod
    def from_row(cls, one: Running) -> Self:
        """Return what is said of a step that runs."""
        return cls.build(one, step=one.slug, confirmed=one.is_confirmed)


class Failure(Answer):
    """What a step raised."""

    step: str
    type: str
    message: str
    traceback: str


class StepError(Answer):
    """What a step raised last."""

    type: str
    message: str
    traceback: str | None = None


class OperationStatus(Answer):
    """Where an operation stands, as briefly as it can be told."""

    id: int
    completion: Completion
    reason: str | None = Field(description="Why it was asked to pause, or why it cannot pause yet.")
    progress: Progress
    in_flight: list[InFlight] = Field(description="The steps that run now; none once it is PAUSED or has ended.")
    start_at: Instant | None = Field(description=_START_AT)
    resume_at: Instant | None = Field(description=_RESUME_AT)

    @classmethod
    def from_view(cls, view: View) -> Self:
        """Return where an operation stands."""
        one = view.operation
        return cls.build(one, progress=Progress.from_row(one), in_flight=list(map(InFlight.from_row, view.in_flight)))


class OperationSummary(Answer):
    """An operation in a list."""

    id: int
    workflow: str
    completion: Completion
    reason: str | None
    progress: Progress
    requester_id: int
    version: int = Field(description="Raised by every change; quoted, it is the ETag.")
    created_at: Instant
    started_at: Instant | None
    finished_at: Instant | None
    start_at: Instant | None = Field(description=_START_AT)
    resume_at: Instant | None = Field(description=_RESUME_AT)
    moved_at: Instant | None = Field(description="Since when it may go on elsewhere alone.")
    moved_to: str | None = Field(description="Where it was moved to, in the words of who moved it.")
    links: dict[str, str] = Field(description="Where to read more, and what can be asked of it where it stands.")

    @classmethod
    def from_row(cls, one: operations.OperationSummary, root: str) -> Self:
        """Return an operation as a list shows it; `root` is where the service is mounted."""
        return cls.build(one, progress=Progress.from_row(one), links=_links(one, f"{root}/operations/{one.id}"))


class Operation(OperationSummary):
    """An operation, whole but for its steps and its history."""

    in_flight: list[InFlight]
    arguments: Annotated[dict[str, Any], Stored()]
    result: Annotated[Any, Stored()] = Field(
        description="When COMPLETED, the last step's; when PAUSED, what the rest goes on with."
    )
    error: Annotated[Failure | None, Stored()]

    @classmethod
    def from_view(cls, view: View, root: str) -> Self:
        """Return an operation and its steps that run; `root` is where the service is mounted."""
        one = view.operation
        return cls.build(
            one,
            progress=Progress.from_row(one),
            links=_links(one, f"{root}/operations/{one.id}"),
            in_flight=list(map(InFlight.from_row, view.in_flight)),
            result=_result_of(one, root),
        )


class OperationPage(Page):
    """Operations, newest first."""

    operations: list[OperationSummary]


class Step(Answer):
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
    due_at: Instant | None
    started_at: Instant | None
    finished_at: Instant | None
    result: Annotated[Any, Stored()]
    error: Annotated[StepError | None, Stored()]

    @classmethod
    def from_row(cls, one: ShownStep, here: str) -> Self:
        """Return a step; `here` is where its operation is."""
        place = f"{here}/steps/{quote(one.slug, safe='')}/result"
        return cls.build(one, pause_point=one.point, result=one.result and shown(one.result, place))


class StepPage(Page):
    """Steps in topological order."""

    place = "number"

    steps: list[Step]


class Event(Answer):
    """One change in an operation's history."""

    id: int
    at: Instant
    who: str
    step: str | None = Field(description="The slug of the step that changed; null for the operation itself.")
    old: str | None
    new: str
    why: str | None


class EventPage(Page):
    """Events in the order they happened."""

    events: list[Event]


class Workflow(Answer):
    """A recipe that operations can be started from."""

    name: str
    summary: str
    pause_every: int = Field(description="After how many links of its chain a pause is noticed.")
    parameters: dict[str, Any] = Field(description="The JSON Schema of the arguments.")

    @classmethod
    def from_row(cls, one: Recipe) -> Self:
        """Return a workflow and what it asks for."""
        return cls.build(one, parameters=one.schema())


class WorkflowList(Answer):
    """All workflows, by name."""

    workflows: list[Workflow]


class Health(Answer):
    """The web server answers."""

    status: str


class Readiness(Answer):
    """How each part stands that the service needs."""

    status: str
    checks: dict[str, Check]


class Refusal(Answer):
    """Why some of them have not done as asked."""

    reason: str = Field(description="The end of a problem's type; or `moved-on`: somebody had changed it since.")
    count: int
    operations: list[int] = Field(description="The ids of the first of them; some of those that moved on are not told.")


class Bulk(Answer):
    """The same asked of many operations, and how far that has come."""

    id: int
    verb: Verb
    workflow: str | None
    completion: tuple[Completion, ...] = Field(description="Where the operations stood that are meant.")
    reason: str | None
    resume_at: Instant | None
    per_minute: int | None
    state: Literal["RUNNING", "DONE", "STOPPED"]
    total: int = Field(description="How many operations were meant when it was asked for; later ones are not.")
    done: int = Field(description="How many have done as asked.")
    refused: int = Field(description="How many have not: see `refusals`.")
    left: int = Field(description="How many are yet to be asked, or were when it was stopped.")
    refusals: list[Refusal]
    requester_id: int
    created_at: Instant
    finished_at: Instant | None
    stopped_by: str | None
    links: dict[str, str]

    @classmethod
    def from_row(cls, one: bulks.Bulk, root: str) -> Self:
        """Return how far a bulk is; `root` is where the service is mounted."""
        here = f"{root}/bulks/{one.id}"
        links = {"self": here} if one.finished_at else {"self": here, "stop": f"{here}/stop"}
        refusals = [Refusal(reason=reason, **told) for reason, told in json.loads(one.refusals).items()]
        return cls.build(one, completion=one.completions, refusals=refusals, links=links)


class BulkPage(Page):
    """Bulks, newest first."""

    bulks: list[Bulk]


class Difference(BaseModel):
    """One place that an edit changed."""

    at: str = Field(examples=["steps.render.kwargs.currency"])
    old: Any = Field(description="What stood there; long values are cut.")
    new: Any


class Edit(Answer):
    """A change that a person made of what remains of a paused operation."""

    id: int
    at: Instant
    who: str
    why: str | None
    diff: list[Difference]
    undone_at: Instant | None
    undone_by: str | None

    @classmethod
    def from_row(cls, one: history.Edit) -> Self:
        """Return an edit, without what may be secret."""
        diff = [Difference.model_construct(**part) for part in redacted_parts(json.loads(one.diff))]
        return cls.build(one, diff=diff)


class EditPage(Page):
    """Edits in the order they were made."""

    edits: list[Edit]


class Cause(Answer):
    """One reason why an operation stands where it does; what does not apply is null."""

    kind: Kind
    sentence: str
    step: str | None = Field(description="The first step that it concerns.")
    steps: int | None = Field(description="How many steps it concerns.")
    who: str | None = Field(description="Who asked for it.")
    why: str | None
    since: Instant | None
    until: Instant | None = Field(description="When it is over by itself: the start, the retry, the end of the lease.")
    queue: str | None
    host: str | None
    process: int | None
    waits_for: tuple[str, ...] = Field(description="The steps that are waited for.")


class Explanation(Answer):
    """Why an operation does not move, the cause that a person can do most about first."""

    operation_id: int
    completion: Completion
    moving: bool = Field(description="Whether a step of it runs in a worker that lives.")
    summary: str
    causes: list[Cause]

    @classmethod
    def from_row(cls, operation_id: int, one: reasons.Explanation) -> Self:
        """Return why an operation does not move."""
        causes = [Cause.build(cause) for cause in one.causes]
        return cls.build(one, operation_id=operation_id, moving=one.is_moving, causes=causes)


class Preflight(Answer):
    """What a resume would find, what is in its way first."""

    operation_id: int
    completion: Completion
    ok: bool = Field(description="Whether it has not ended, and nothing is in the way.")
    findings: list[Finding]

    @classmethod
    def from_findings(cls, operation_id: int, completion: Completion, found: Iterable[reasons.Finding]) -> Self:
        """Return what is found before an operation goes on; one that has ended does not, whatever is found.

        Args:
            operation_id: The operation.
            completion: Where it stands.
            found: What is found.
        """
        told = list(found)
        is_ok = completion not in ENDED and not reasons.in_the_way(told)
        findings = [Finding.build(one) for one in told]
        return cls.build(None, operation_id=operation_id, completion=completion, ok=is_ok, findings=findings)


_C = Completion
#: What can be asked of an operation that stands here, and would change it; of others that have ended, nothing.
_OFFERED: Final = {
    _C.SCHEDULED: ("pause", "cancel"),
    _C.IN_PROGRESS: ("pause", "cancel"),
    _C.REQUESTING_PAUSE: ("resume", "cancel"),
    _C.PAUSED: ("resume", "cancel", "export"),
    _C.FAILED: ("retry",),
}


def offered(one: operations.OperationSummary) -> tuple[str, ...]:
    """What can be asked of an operation now; what was moved elsewhere goes on there, unless it is taken back."""
    verbs = _OFFERED.get(one.completion, ())
    return verbs if one.moved_at is None else tuple(verb for verb in verbs if verb not in ("resume", "retry"))


def _links(one: operations.OperationSummary, here: str) -> dict[str, str]:
    links = {"self": here, "status": f"{here}/status", "steps": f"{here}/steps", "events": f"{here}/events"}
    links |= {"result": f"{here}/result"} if one.completion is _C.COMPLETED else {}
    links |= {verb: f"{here}/{verb}" for verb in offered(one)}
    return links | {"workflow.json": f"{here}/workflow.json"} if one.completion is _C.PAUSED else links


def _result_of(one: operations.Operation, root: str) -> str | None:
    """The result of an operation; of a value that lies in a store, where to have it."""
    if one.result is None:
        return None
    here, is_paused = f"{root}/operations/{one.id}", one.completion is _C.PAUSED
    is_of_parts = is_paused or one.outcome.startswith("[")
    return shown(one.result, f"{here}/steps" if is_paused else f"{here}/result", is_of_parts=is_of_parts)
