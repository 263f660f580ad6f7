"""Every error that the library and the service raise on purpose.

Each class is named for the fact that it states, carries the objects that it is about, and writes its own sentence. An
error that a request can run into is a `RequestFailed`: it also says with which HTTP status, slug and title the service
answers. The library sends no HTTP; `app/web/problems.py` reads these three.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path


@dataclass_transform(eq_default=False)
class PausableError(Exception):
    """An error that is raised on purpose.

    Every subclass is a dataclass: its annotated attributes are what it is made with, and `args`, so that it can be
    pickled. Its message is its `sentence`, filled in with them.
    """

    sentence: ClassVar[str]

    def __init_subclass__(cls) -> None:
        """Make the subclass a dataclass."""
        dataclass(eq=False, repr=False)(cls)

    def __post_init__(self) -> None:
        """Let `args` hold what the error was made with."""
        self.args = tuple(getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]

    def __str__(self) -> str:
        """Return a sentence that says what is wrong and, where there is one, the remedy."""
        return self.sentence.format_map(vars(self))


class RequestFailed(PausableError):
    """An error that a request can run into.

    `status` is the HTTP status of the answer, `slug` ends the `type` of the problem (RFC 9457), and `title` says what
    all problems of this type have in common. Subclasses share them.
    """

    status: ClassVar[int]
    slug: ClassVar[str]
    title: ClassVar[str]


class BackupNeedsPgDump(PausableError):
    """A backup of a PostgreSQL database was asked for, which its own program makes."""

    sentence = "The database is PostgreSQL: `pg_dump` backs it up, `flask backup FILE --documents` what lies beside."


class RestoreNeedsPgRestore(PausableError):
    """An SQLite database was to be restored where DATABASE_URL names a PostgreSQL one."""

    file: Path
    sentence = (
        "{file} holds an SQLite database, and DATABASE_URL names PostgreSQL: restore it where DATABASE_URL is "
        "SQLite; what `pg_dump` wrote, `pg_restore` reads."
    )


class BackupUnusable(PausableError):
    """An archive is no backup, or not as it was written: nothing of it was restored."""

    file: Path
    why: str
    sentence = "{file} cannot be restored: {why}. Nothing was changed."


class DatabaseInTheWay(PausableError):
    """There is a database where one was to be restored."""

    file: Path
    sentence = "There is a database at {file}: `--force` puts the backup in its place, for good."


class DatabaseInUse(PausableError):
    """The database that was to be replaced, or the folder it belongs to, is used by programs that run."""

    what: Path
    sentence = "{what} is in use by a service that runs: stop it first. Nothing was changed."


class CanvasRefused(RequestFailed):
    """What a workflow returned cannot become the steps of an operation."""

    status, slug, title = 422, "canvas-refused", "The workflow cannot be run with these arguments"


class CanvasEmpty(CanvasRefused):
    """A workflow returned a canvas without a single step."""

    sentence = "The canvas has no step: an operation needs at least one."


class NotACanvas(CanvasRefused):
    """Something that is no Celery signature stands where one is expected: as the whole canvas, or as a part of it."""

    found: object
    workflow: str | None = None

    def __str__(self) -> str:
        if self.workflow is None:
            return f"A Celery signature is expected where {self.found!r:.80} stands."
        if self.found is None:
            return f"The function of the workflow {self.workflow!r} returned nothing: let it `return` its canvas."
        returned = f"The function of the workflow {self.workflow!r} returned {self.found!r:.80}"
        return f"{returned}: let it return a canvas, such as `a.s() | b.s()`, or a Flow."


class UnknownTasks(CanvasRefused):
    """A canvas calls tasks that no module of WORKFLOWS registers; `tasks` are their names."""

    tasks: list[str]

    def __str__(self) -> str:
        return f"No task is registered under {', '.join(self.tasks)}. Is its module named in WORKFLOWS?"


class UnstorableArgument(CanvasRefused):
    """The call of `step` holds a value that JSON cannot hold; `path` leads to it, `fault` says what stands there."""

    step: str
    path: str
    fault: str
    sentence = "step {step}: {path} {fault}, which JSON cannot hold."


class OptionRefused(CanvasRefused):
    """The call of `step` carries an option that an operation cannot honour; `why` tells what its value is."""

    step: str
    option: str
    why: str | None = None

    def __str__(self) -> str:
        words = f"{self.option} {self.why}" if self.why else f"an operation cannot honour the option {self.option}"
        return f"step {self.step}: {words}."


class CallMisfits(CanvasRefused):
    """A step calls its task with arguments that the task's function does not take."""

    step: str
    task: str
    why: str
    sentence = "step {step}: {task} cannot be called with these arguments: {why}."


class CanvasTooDeep(CanvasRefused):
    """Groups and chords stand within each other more than `limit` deep."""

    limit: int
    sentence = "The canvas nests groups, chords or replacements more than {limit} deep."


class CanvasTooLarge(CanvasRefused):
    """A canvas has more than `limit` of a kind of `parts`: steps, or edges between steps."""

    parts: str
    limit: int
    sentence = "The canvas has more than {limit:,} {parts}."


class TaskUnfit(CanvasRefused):
    """A task asks for something that an operation cannot honour; `why` tells what is wrong with its value."""

    task: str
    asks_for: str
    why: str | None = None

    def __str__(self) -> str:
        words = f"which {self.why}" if self.why else "which a step of an operation cannot honour: take it off the task"
        return f"{self.task} has {self.asks_for}, {words}."


class ApplyAsyncUnfit(CanvasRefused):
    """The `apply_async` of a task's base class, asked how it would send a step, gave no answer that can be kept."""

    task: str
    why: str
    sentence = "The apply_async of {task} {why}."


class WorkflowRaised(CanvasRefused):
    """The author's function raised, with these arguments, where it should have returned a canvas."""

    workflow: str
    fault: BaseException

    def __str__(self) -> str:
        return f"The workflow {self.workflow!r} raised {type(self.fault).__name__}: {self.fault}"


class ReferenceUnknown(CanvasRefused):
    """A workflow names reference steps that its canvas does not have."""

    missing: Sequence[str]
    slugs: Sequence[str]

    def __str__(self) -> str:
        names, some = ", ".join(self.missing), ", ".join(self.slugs[:20])
        return f"reference= names {names}, but the steps are {some}: name steps or tasks of the canvas."


class FlowMalformed(CanvasRefused):
    """A flow is put together in a way that cannot be run."""

    flow: str
    why: str
    sentence = "The flow {flow!r} cannot be run: {why}."


class FlowOptionTwice(CanvasRefused):
    """A workflow and the flow that it returns both have an option."""

    workflow: str
    option: str
    sentence = "@workflow({workflow!r}) and the flow that it returns both have {option}: give all of it to one of them."


class FlowCyclic(CanvasRefused):
    """Nodes of a flow wait for each other; `path` names them, and ends where it begins."""

    path: Sequence[str]

    def __str__(self) -> str:
        return f"Nodes of the flow wait for each other: {' → '.join(reversed(self.path))}."


class DocumentUntrusted(RequestFailed):
    """A document is not signed, or not by a key of this service; `why` goes on from "it"."""

    status, slug, title = 403, "document-untrusted", "The workflow.json is not signed by this service"
    why: str
    remedy: str
    sentence = "The workflow.json {why}: nothing of it was run. {remedy}"


class TrustNeedsAdmin(RequestFailed):
    """Somebody who is no admin asked for what only an admin may answer for: `what`."""

    status, slug, title = 403, "admin-needed", "Only an admin may ask for that"
    what: str
    sentence = "Only an admin may {what}."


class DocumentOlder(RequestFailed):
    """A document is of an older slice than what is known here of the same operation."""

    status, slug, title = 409, "document-older", "The workflow.json is of an older slice"
    given: int
    known: int
    operation_id: int
    completion: str
    sentence = (
        "The workflow.json is of slice {given}, and operation {operation_id}, which is {completion}, has come to "
        "slice {known} of the same operation: steps that have run since would run again. Import a newer one."
    )


class OperationAtWork(RequestFailed):
    """A document cannot be imported while the operation that it is of goes on here."""

    status, slug, title = 409, "operation-at-work", "The operation that the workflow.json is of goes on here"
    operation_id: int
    completion: str
    sentence = "Operation {operation_id}, of which this is a workflow.json, is {completion} here: pause or cancel it."


class OperationMoved(RequestFailed):
    """An operation was moved elsewhere, and may go on only there."""

    status, slug, title = 409, "operation-moved", "The operation was moved elsewhere"
    operation_id: int
    completion: str
    moved: str

    def __str__(self) -> str:
        verb = "retry" if self.completion == "FAILED" else "resume"
        return (
            f"Operation {self.operation_id} stays {self.completion}: {self.moved}, and goes on there. An admin who "
            "knows that it does not takes it back with `accept=moved` "
            f"(`flask operations {verb} {self.operation_id} --accept-moved`)."
        )


class ResultsUnreachable(RequestFailed):
    """Results that the rest of a document needs lie where this service cannot read them; `results` names them."""

    status, slug, title = 422, "results-unreachable", "Results that the rest needs cannot be read here"
    results: list[str]

    def __str__(self) -> str:
        named = "; ".join(one[:300] for one in self.results[:5]) + "; and others" * (len(self.results) > 5)
        return (
            f"Results that the rest needs cannot be read here: {named}. Make their stores reachable, or export with a "
            "larger `inline`."
        )


class SlugsUnfit(RequestFailed):
    """A document tells of steps by slugs that the workflow does not have, or that could be several of its steps."""

    status, slug, title = 422, "slugs-unfit", "The workflow.json names steps that the workflow does not have"
    workflow: str
    unknown: list[str]
    ambiguous: list[str]

    def __str__(self) -> str:
        said = [f"{_first(self.unknown)}: no step is called so"] * bool(self.unknown)
        said += [f"{_first(self.ambiguous)}: several steps may be meant"] * bool(self.ambiguous)
        return f"{self.workflow:.80} has other steps ({'; '.join(said)}). Leave them out, or be lenient."


class SliceFailed(PausableError):
    """The process that was to run a slice has ended without; it said `why`."""

    why: str
    sentence = "A slice could not be run. {why}"


class PublisherUnusable(PausableError):
    """There is nowhere to publish the rest of an operation to: `why`."""

    why: str
    sentence = "PUBLISH_TO {why}."


class PatchMalformed(RequestFailed):
    """A body is no merge patch of what can be edited."""

    status, slug, title = 422, "patch-malformed", "The patch is none of what can be edited"
    why: str
    sentence = "The patch cannot be used: {why}."


class PatchUnfit(PausableError):
    """What a patch would change cannot be changed; `why` goes on from "it cannot be edited so:"."""

    why: str
    sentence = "It cannot be edited so: {why}."


class EditRefused(RequestFailed):
    """What a patch would change of an operation cannot be changed."""

    status, slug, title = 409, "edit-refused", "That cannot be changed of the operation"
    operation_id: int
    completion: str
    why: str
    sentence = "Operation {operation_id} stays as it is: {why}."


class NothingToUndo(RequestFailed):
    """No edit of the operation is left that could be taken back."""

    status, slug, title = 409, "nothing-to-undo", "No edit is left to be taken back"
    operation_id: int
    completion: str
    sentence = "No edit of operation {operation_id} is left to be taken back."


class UndoTooLate(RequestFailed):
    """A step has started since the edit: what it was given cannot be taken back."""

    status, slug, title = 409, "undo-too-late", "The operation has gone on since it was edited"
    operation_id: int
    completion: str
    sentence = "Operation {operation_id} has gone on since it was edited: that is taken back no more."


class SettingsInvalid(PausableError):
    """One or more settings cannot be used; `faults` holds a sentence, free of secrets, under each variable's name."""

    faults: Mapping[str, str]

    def __str__(self) -> str:
        return "\n".join(self.faults.values())


class BrokerProgramMissing(PausableError):
    """No broker is given and none can be started: neither the pinned wheel nor the machine has a server program."""

    sentence = (
        "BROKER_URL is not set and no valkey-server or redis-server was found: install one of them, or set "
        "BROKER_URL to a broker that runs elsewhere."
    )


class ProgramKeepsDying(PausableError):
    """A supervised program ended too often within a minute to be started again."""

    program: str
    times: int
    ending: str
    sentence = "{program} ended {times} times within a minute, at last {ending}: giving up."


class DriverMissing(PausableError):
    """DATABASE_URL names PostgreSQL, whose driver is not installed."""

    sentence = "DATABASE_URL names PostgreSQL, and its driver is missing: pip install 'pausable[postgres]'."


class DatabaseTooNew(PausableError):
    """The database stands at a migration, `revision`, that this version of the service does not know."""

    revision: str
    sentence = "The database stands at migration {revision}, which this version of the service does not know."


class DatabaseBehind(PausableError):
    """The database does not stand at the newest migration."""

    sentence = "The database does not have the present schema: `flask db upgrade` brings it there."


class DatabaseUnavailable(RequestFailed):
    """The database is locked for longer than one waits, full, read-only or gone; `retry_after` is in seconds."""

    status, slug, title = 503, "database-unavailable", "The database cannot be reached just now"
    retry_after: int = 5
    why: str | None = None

    def __str__(self) -> str:
        what = f"takes no writes just now ({self.why})" if self.why else "cannot be reached just now"
        return f"The database {what}: try again in {self.retry_after} seconds."


class ReferencesBroken(PausableError):
    """A migration would have left rows of `tables` that refer to rows no longer there; it was rolled back."""

    tables: list[str]

    def __str__(self) -> str:
        return f"After the migration, rows of {', '.join(self.tables)} would refer to rows that are gone."


class NotReady(RequestFailed):
    """Something that the service needs does not answer; `checks` tells of each part how it stands."""

    status, slug, title = 503, "not-ready", "The service is not ready"
    checks: Mapping[str, Mapping[str, object]]

    def __str__(self) -> str:
        return f"Not ready: {', '.join(name for name, check in self.checks.items() if not check['ok'])}."


class InputUnusable(PausableError):
    """A file below INPUT_DIR cannot be read as asked; `path` is the name that the operation gave it."""

    path: str
    sentence: ClassVar[str]

    def __str__(self) -> str:
        """A sentence that names the file, the place in it and, where there is one, the remedy."""
        return self.sentence.format_map(vars(self))


class InputUnreadable(InputUnusable):
    """There is no such file, or it is none that can be opened and read."""

    why: str
    sentence = "There is no readable file {path!r} below INPUT_DIR: {why}."


class InputOutside(InputUnusable):
    """The name leads outside INPUT_DIR, by a link."""

    sentence = "{path!r} leads outside INPUT_DIR: only files that lie below that folder are read."


class InputEmpty(InputUnusable):
    """There is no header line to find the columns by."""

    sentence = "{path!r} is empty: it has no header line that names its columns."


class InputChanged(InputUnusable):
    """The file is not the one that the first step read: its size or its time of change differs."""

    sentence = "{path!r} changed after the operation began to read it: start a new operation on the file as it is now."


class ColumnMissing(InputUnusable):
    """The header does not name a column that is asked for; `columns` are those it names."""

    column: str
    columns: str
    sentence = "{path!r} has no column {column!r}: its header names {columns}."


class ColumnRepeated(InputUnusable):
    """The header names a column that is asked for more than once."""

    column: str
    sentence = "{path!r} has more than one column {column!r}: rename all but one in its header."


class RowUnusable(InputUnusable):
    """A row cannot be read; the header is row 1, and blank rows are numbered too."""

    row: int


class RowTooShort(RowUnusable):
    """A row ends before a column that is asked for."""

    sentence = "Row {row} of {path!r} has too few fields: it ends before a column that is asked for."


class RowTooLong(RowUnusable):
    """A field or a whole row is longer than may be kept in memory."""

    sentence = (
        "Row {row} of {path!r} is too long: a field may have 131,072 characters and a row 4 MiB; "
        "perhaps a quote in it is never closed."
    )


class QuoteUnclosed(RowUnusable):
    """A quote is opened in a row, and the file ends before it is closed."""

    sentence = "Row {row} of {path!r} opens a quote that is never closed."


class EncodingInvalid(RowUnusable):
    """A row is not UTF-8."""

    sentence = "Row {row} of {path!r} is not UTF-8: save the file in that encoding."


class NotificationMalformed(PausableError, ValueError):
    """A notification was made of something that cannot be sent; `why` says what is wrong with it."""

    why: str
    sentence = "This is no notification: {why}."


class ChangeUnknown(NotificationMalformed):
    """A notification is to be sent when something happens that no state tells of."""

    def __init__(self, word: object, known: Iterable[str]) -> None:
        super().__init__(f"`when` says {word!r}, which is none of {', '.join(known)}")


class TemplateMalformed(NotificationMalformed):
    """The text of a notification asks for something that no change has, or for it in a way that is not allowed."""

    def __init__(self, why: str, known: Iterable[str]) -> None:
        super().__init__(f"{why}; a text may hold {', '.join(f'{{{name}}}' for name in known)}")


class AddressMalformed(NotificationMalformed):
    """A notification goes to something that is no URL, or to one of which no service is known."""


class NotDelivered(PausableError):
    """One try to deliver a notification came to nothing; another may fare better."""

    why: str
    sentence = "{why}"


class WebhookHostRefused(NotDelivered):
    """A webhook goes to a host that the settings do not name."""

    def __init__(self, host: str) -> None:
        super().__init__(f"webhooks may not go to {host}: add it to WEBHOOK_HOSTS, or set that to {host}")


class WebhookKeyMalformed(NotDelivered):
    """The secret that webhooks are signed with is no key."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the secret {name} must be whsec_ followed by 24 to 64 bytes in Base64")


class OperationNotFound(RequestFailed):
    """There is no operation of that id, or it is not this requester's."""

    status, slug, title = 404, "operation-not-found", "There is no such operation"
    operation_id: int
    sentence = "There is no operation {operation_id}, or it is not yours."


class MoveRefused(RequestFailed):
    """An operation cannot go from where it stands to where it was asked to go."""

    status, slug, title = 409, "move-refused", "The operation cannot do that where it stands"
    operation_id: int
    completion: str
    wanted: str
    sentence = "Operation {operation_id} is {completion}: it cannot become {wanted}."


class NothingToRetry(RequestFailed):
    """An operation has failed without a step that has: code of its workflow ended it so."""

    status, slug, title = 409, "nothing-to-retry", "No step of the operation has failed"
    operation_id: int
    completion: str
    sentence = (
        "Operation {operation_id} is {completion}, but no step of it has failed: a state handler of its workflow "
        "ended it so, and there is nothing to run again."
    )


class OperationThinned(RequestFailed):
    """An operation cannot be retried, for rows of it are gone: `prune` has begun to take it away."""

    status, slug, title = 409, "operation-thinned", "Parts of the operation were taken away"
    operation_id: int
    completion: str
    sentence = (
        "Operation {operation_id} stays {completion}: parts of it were taken away by `flask operations prune`. "
        "Start it anew."
    )


class PictureTooLarge(RequestFailed):
    """An operation has too many steps, or edges between them, for a picture of it to be drawn."""

    status, slug, title = 422, "picture-too-large", "The operation has too many steps to be drawn"
    operation_id: int
    steps: int
    edges: int
    sentence = (
        "Operation {operation_id} is not drawn: a picture is made of {steps:,} steps and {edges:,} edges between "
        "them at the most. List its steps instead."
    )


class VersionPassed(RequestFailed):
    """The operation has changed since the version that the request was made for."""

    status, slug, title = 412, "version-passed", "The operation has changed since it was read"
    operation_id: int
    version: int
    sentence = "Operation {operation_id} has changed: it is at version {version} now. Read it again."


class IdempotencyKeyReused(RequestFailed):
    """An idempotency key came again with another request than the first time."""

    status, slug, title = 422, "idempotency-key-reused", "The idempotency key belongs to another request"
    key: str
    operation_id: int
    sentence = "The idempotency key {key!r} already started operation {operation_id} with another request."


class DocumentUnusable(RequestFailed):
    """The workflow.json of a paused operation is missing or is not what was written, or cannot be run here."""

    status, slug, title = 409, "document-unusable", "The workflow.json is missing or altered"
    operation_id: int
    completion: str
    why: str
    remedy: str | None = None

    def __str__(self) -> str:
        rebuild = f"`flask operations rebuild {self.operation_id}` writes it anew from the database."
        return f"Operation {self.operation_id} stays {self.completion}: {self.why}. {self.remedy or rebuild}"


class PreflightFailed(RequestFailed):
    """An operation is not resumed, for it would not go on as it was paused: `findings` tells all that is in the way."""

    status, slug, title = 409, "preflight-failed", "The operation would not go on as it was paused"
    operation_id: int
    completion: str
    findings: Sequence[Any]

    def __str__(self) -> str:
        found = self.findings
        others = f" {len(found) - 1} more findings are in the way." if len(found) > 1 else ""
        words = ",".join(sorted({one.accept for one in found if one.accept}))
        remedy = "Bring back the code that it needs, and resume it then."
        if all(one.accept for one in found):
            remedy = f"Bring back what it was paused with, or answer for it with accept={words}."
        return f"Operation {self.operation_id} stays {self.completion}: {found[0].sentence}{others} {remedy}"


class DocumentMalformed(RequestFailed):
    """A workflow.json is not one that this service reads, or another operation's; `why` goes on from "it"."""

    status, slug, title = 422, "document-malformed", "The workflow.json cannot be used"
    why: str
    sentence = "The workflow.json {why}."


class DocumentUnwritable(DocumentMalformed):
    """The workflow.json that a slice has come to is one that no service would read: the operation cannot go on."""

    sentence = (
        "The workflow.json of what the slice has come to {why}: its reader would refuse it, so it is not handed on. "
        "The steps of this slice have run."
    )


class TasksUnregistered(RequestFailed):
    """A workflow.json may run `tasks` that no code here is registered for."""

    status, slug, title = 422, "tasks-unregistered", "The workflow.json names tasks that are not here"
    tasks: list[str]

    def __str__(self) -> str:
        return f"No code is registered here for {_first(self.tasks)}."


class DocumentNotWritten(RequestFailed):
    """The operation has no workflow.json now: only a paused one has."""

    status, slug, title = 409, "document-not-written", "The operation has no workflow.json now"
    operation_id: int
    completion: str
    sentence = "Operation {operation_id} is {completion}: only a PAUSED one has a workflow.json."


class ResultMissing(RequestFailed):
    """The result of an operation was asked for that is not COMPLETED, or of a step that has none."""

    status, slug, title = 404, "result-missing", "There is no result yet"
    operation_id: int
    state: str
    step: str | None = None

    @property
    def completion(self) -> str | None:
        """Where the operation stands, if its own result was asked for."""
        return self.state if self.step is None else None

    def __str__(self) -> str:
        if self.step is None:
            return f"Operation {self.operation_id} is {self.state}: only a COMPLETED one has a result."
        return f"Step {self.step!r} of operation {self.operation_id} is {self.state}: it has no result."


class ResultGone(RequestFailed):
    """A result lies in a store, and cannot be read there."""

    status, slug, title = 503, "result-unreadable", "The result cannot be read where it is kept"
    operation_id: int
    step: str | None = None

    def __str__(self) -> str:
        operation = f"operation {self.operation_id}"
        whose = operation if self.step is None else f"step {self.step!r} of {operation}"
        return f"The result of {whose} cannot be read where it is kept; the service's log tells why."


class Stalled(PausableError):
    """An operation that runs in this process has not ended, and nothing of it could run: the engine is at fault."""

    operation_id: int
    sentence = "Nothing of operation {operation_id} can run, and it has not ended."


class BulkNotFound(RequestFailed):
    """There is no bulk of that id, or it is not this requester's."""

    status, slug, title = 404, "bulk-not-found", "There is no such bulk"
    bulk_id: int
    sentence = "There is no bulk {bulk_id}, or it is not yours."


class BulkRefused(RequestFailed):
    """What is asked of many operations is not asked in earnest, or of the wrong ones."""

    status, slug, title = 422, "bulk-refused", "That cannot be asked of many operations"


class BulkUnbounded(BulkRefused):
    """Neither a workflow nor where the operations stand was named."""

    verb: str
    sentence = "To {verb} many operations, say which: those of a workflow, those that stand somewhere, or both."


class BulkMisdirected(BulkRefused):
    """Operations that stand there are never changed by what is asked."""

    verb: str
    stands: str
    possible: Sequence[str]

    def __str__(self) -> str:
        possible = ", ".join(self.possible)
        return f"To {self.verb} an operation that is {self.stands} changes nothing; name {possible}."


class BulkKeyReused(IdempotencyKeyReused):
    """An idempotency key came again with another request than the first time."""

    sentence = "The idempotency key {key!r} already asked for bulk {bulk_id} with another request."

    def __init__(self, key: str, bulk_id: int) -> None:
        self.key = key
        self.bulk_id = bulk_id


class BulkMovedOn(PausableError):
    """Another worker has gone on with the bulk, or it was stopped."""

    bulk_id: int
    sentence = "Bulk {bulk_id} has moved on."


class OperationMovedOn(PausableError):
    """The operation stands elsewhere than it was looked at a moment ago."""

    operation_id: int
    sentence = "Operation {operation_id} has moved on."


class PauseIntervalInvalid(PausableError, ValueError):
    """Pause points cannot be put after every `nth` link: `nth` is not a whole number of 0 or more."""

    nth: object
    sentence = "nth must be a whole number, 0 (only the pause points placed by hand) or more, not {nth!r}."


class PauseSignatureInvalid(PausableError, TypeError):
    """A clause or callback is not the signature of one task; `role` says which, `given` is what came instead."""

    role: str
    given: object
    sentence = "The {role} of a pause point must be the signature of one task, as in task.s(7), not {given!r}."


class PausePointIncomplete(PausableError, ValueError):
    """A pause point was reached that has no clause or no callback, and nothing around it that supplies one."""

    missing: str
    sentence = (
        "This pause point has no {missing}: give it one, pause_or_continue.s({missing}=task.s(...)), "
        "or put it into a canvas that goes through tappable()."
    )


class PausingNeedsWorker(PausableError, RuntimeError):
    """A clause asked to pause in Celery's eager mode, where what remains to be run is not known and would be lost."""

    sentence = "A pause was asked for in eager mode, which hides the rest of the workflow: pause it on a worker."


class UserExists(PausableError):
    """A user of that `name` is there already."""

    name: str
    sentence = "There is a user named {name} already."


class UserNameInvalid(PausableError):
    """A user's `name` is not 1 to 64 printable characters without spaces around them."""

    name: str
    sentence = "{name!r} cannot be a user's name: use 1 to 64 printable characters, no spaces around them."


class UserUnknown(PausableError):
    """There is no user of that `name`."""

    name: str
    sentence = "There is no user named {name}: `flask users list` shows those there are."


class AdminMissing(PausableError):
    """Somebody is to act in the name of the oldest admin, and there is no admin."""

    sentence = "There is no admin to act for: name somebody by --user, or make one with `flask users add NAME --admin`."


class TokenInvalid(PausableError):
    """A token that was given is too short, or holds what no HTTP header may carry; it is not repeated here."""

    sentence = "A token needs at least 16 letters, digits or signs of ASCII, and no spaces."


class TokenUnknown(PausableError):
    """The user of that `name` has no valid token of the prefix that was given."""

    name: str
    sentence = "{name} has no valid token of that prefix: a token's prefix is its first characters."


class TokensChanged(PausableError):
    """A user's tokens have changed since they saw them, by another request or by this one sent twice."""

    sentence = "Your tokens have changed since that page was shown, so nothing was done: here they are anew."


class TooManyTokens(PausableError):
    """A user who has `most` valid tokens wants another."""

    most: int
    sentence = "You have {most} valid tokens: revoke one that is not used before you make another."


class TooManyFailedTokens(RequestFailed):
    """Too many tokens that open nothing came from one address: `retry_after` says for how many seconds it is shut."""

    status, slug, title = 429, "too-many-failed-tokens", "Too many tokens opened nothing"
    retry_after: int
    sentence = "Too many tokens from your address opened nothing: try again in {retry_after} seconds."


class TokenRefused(RequestFailed):
    """A request came without a bearer token, or (`is_given`) with one that opens nothing; it is not repeated here."""

    status, slug, title = 401, "token-refused", "A valid token is needed"
    is_given: bool

    def __str__(self) -> str:
        fault = "The token is unknown or was revoked" if self.is_given else "A token is needed"
        return f"{fault}: send the header `Authorization: Bearer TOKEN`."


class BodyMalformed(RequestFailed):
    """The body of a request is not the JSON that is expected."""

    status, slug, title = 400, "body-malformed", "The body is not the JSON that is expected"
    why: str
    sentence = "The body cannot be read as JSON: {why}."


class RequestInvalid(RequestFailed):
    """A request is well-formed but wrong; `faults` tells where (`in`), which `field`, and a `message` for each."""

    status, slug, title = 422, "request-invalid", "A part of the request cannot be used"
    faults: Sequence[Mapping[str, str]]

    def __str__(self) -> str:
        fields = "; ".join(f"{fault['field'] or fault['in']}: {fault['message']}" for fault in self.faults)
        return f"The request cannot be used: {fields}."


class TooManyWatchers(RequestFailed):
    """As many streams are open as this server has room for; in `retry_after` seconds there may be room again."""

    status, slug, title = 503, "too-many-watchers", "No more streams can be opened just now"
    retry_after = 5
    sentence = "As many streams are open as this server has room for: try again in a few seconds, or ask for JSON."


class ServiceBusy(RequestFailed):
    """No request has ended within the time that this one waited for its turn; try again in `retry_after` seconds."""

    status, slug, title = 503, "service-busy", "The service is busy just now"
    retry_after = 5
    sentence = "The service is busy: as many requests as it answers at a time are waiting. Try again."


class MomentMalformed(PausableError, ValueError):
    """A text is no moment as ISO 8601 writes it, with an offset from UTC."""

    sentence = "a date and time is expected as in 2027-01-31T20:00:00+01:00, with its offset from UTC, or Z"


class MomentTooFar(PausableError, ValueError):
    """A moment lies too far ahead."""

    sentence = "it lies more than ten years ahead"


class ResultFault(PausableError):
    """A result cannot be kept outside the table, or not be read there; each kind says why."""


class TargetOutside(ResultFault):
    """A target, once its fields were filled in, names no place inside its store."""

    target: str
    why: str
    sentence = "The target {target!r} is refused: it {why}."


class TargetMalformed(ResultFault):
    """A target's fields could not be filled in from the facts of the step and its arguments."""

    template: str
    why: str
    sentence = "The target {template!r} cannot be filled in: {why}."


class ResultUnreadable(ResultFault):
    """A result that should lie in a store cannot be read there, or is not what its serializer writes."""

    place: str
    why: str
    sentence = "The result at {place} cannot be read: {why}."


class ResultUnwritable(ResultFault, RequestFailed):
    """A result could not be written into its store."""

    status, slug, title = 503, "store-unavailable", "The store of results cannot be written just now"
    place: str
    why: str
    sentence = "The result could not be written to {place}: {why}."


class ResultUnfit(ResultFault):
    """A value is not of the kind that the serializer of its step can hold."""

    serializer: str
    why: str
    sentence = "The serializer {serializer!r} cannot hold the result: {why}."


class StoreUnknown(ResultFault):
    """No store of results is known by the scheme of this URL."""

    url: str
    sentence = (
        "There is no store of results for {url!r}: give a folder, s3://bucket/prefix, gs://bucket/prefix, or "
        "another URL that fsspec knows."
    )


class StorePackageMissing(ResultFault):
    """A store of results needs a package that is not installed."""

    scheme: str
    extra: str
    sentence = "The store {scheme}:// needs a package that is not installed: pip install 'fsspec[{extra}]'."


class SecretNameInvalid(PausableError, ValueError):
    """A secret was asked for under a name that no variable and no file may have."""

    name: object
    sentence = (
        "{name!r} cannot name a secret: it begins with a letter or _, and letters, digits, _, . and - may follow."
    )


class SecretMissing(PausableError, LookupError):
    """A secret is in none of the three places where secrets are looked for; `why` tells of a file that is no use."""

    name: str
    folder: Path
    why: str = ""

    def __str__(self) -> str:
        file = f"{self.folder / self.name}" + f" ({self.why})" * bool(self.why)
        return (
            f"The secret {self.name} is missing: set the environment variable {self.name}, or put it into the file "
            f"{file}, or into .env."
        )


class SecretInResult(PausableError):
    """A step returned, or wanted to be retried with, a value that holds a secret; `what` says which of the two."""

    task: str
    what: str
    name: str
    sentence = "The {what} of {task} holds the secret {name}: secrets are kept nowhere, so it is not recorded."


class ClaimLost(PausableError):
    """A worker's claim is no longer the newest: what it wanted to write was written by nobody."""

    operation_id: int
    sentence = "A claim on a step of operation {operation_id} was lost."


class ResultRefused(PausableError):
    """A step returned a value that JSON cannot hold; `at` is where in it, such as `["rows"][3]`."""

    task: str
    why: str
    at: str = ""

    def __str__(self) -> str:
        return f"{self.task} returned a value that JSON cannot hold: {self.why}{self.at and f', at {self.at}'}."


class TaskMissing(PausableError):
    """A worker was given a step whose task it does not have."""

    task: str
    sentence = "This worker has no task {task}: name its module in WORKFLOWS and restart the worker."


class NotAnEnding(PausableError):
    """A step's code ended in a state that tells neither of a result nor of a failure."""

    task: str
    state: str
    sentence = "{task} ended {state} without a result: an operation cannot go on from there."


class RequestChanged(PausableError):
    """A step's code changed what leads on from it in its request, where an operation does not keep that."""

    task: str
    names: Sequence[str]

    def __str__(self) -> str:
        return (
            f"{self.task} changed self.request.{', self.request.'.join(self.names)}, which decides nothing in an "
            "operation: raise signals.SKIP to end what follows, or return self.replace(canvas) to put something else "
            "there."
        )


class AddToChordRefused(PausableError):
    """A step's code asked for a place in the chord that it is a member of."""

    task: str
    sentence = (
        "{task} called add_to_chord, which an operation does not have: return self.replace(group(…)) to hand on "
        "the values of several calls."
    )


class HardLimitNeedsPrefork(PausableError):
    """A worker's pool cannot keep the hard time limit that a task has: only a process can be killed."""

    pool: str
    tasks: Sequence[str]

    def __str__(self) -> str:
        return (
            f"The pool {self.pool!r} cannot keep the time_limit of {', '.join(self.tasks)}: "
            "start the worker with --pool prefork, or give these tasks a soft_time_limit instead."
        )


class StepNotFound(RequestFailed):
    """The operation has no step of that name."""

    status, slug, title = 404, "step-not-found", "The operation has no such step"
    operation_id: int
    step: str
    sentence = "Operation {operation_id} has no step {step!r}."


class WorkerLost(PausableError):
    """The workers that ran a step were lost, one after the other: it is not given to another."""

    losses: int
    sentence = "Its worker was lost {losses} times."


class TimeLimitPassed(PausableError):
    """A step ran for longer than its hard time limit, and its process was killed."""

    seconds: float
    sentence = "It was killed because it ran for longer than its time limit of {seconds:g} s."


class StateMalformed(PausableError):
    """What should be a state, written down, is none."""

    facts: object
    why: str
    sentence = "This is no state: {why}."


class HandlerAnswered(PausableError):
    """A state handler returned something that cannot be kept there."""

    handler: str
    answer: object
    wanted: str
    sentence = "The state handler {handler} returned {answer!r}: it must return {wanted}, or None."


class StepOptionInvalid(PausableError):
    """An option of `@step` or `@workflow` cannot be used."""

    option: str
    why: str
    sentence = "{option} {why}."


class PlaceRefused(PausableError):
    """A step's code gave `cursor.keep` something that cannot be kept."""

    what: str
    why: str
    sentence = "cursor.keep was given {what} that {why}."


class PlaceRefusedToChild(PausableError):
    """A process that a step's code has started called `cursor.keep`; the place is its parent's to keep."""

    sentence = (
        "cursor.keep was called in a child process of the step: keep the place in the process that runs the step."
    )


class PlaceOfAnother(PausableError):
    """The place that a step has kept is no count of rows, which `cursor.over` goes on behind."""

    place: object

    def __str__(self) -> str:
        return (
            f"cursor.over found {str(self.place)[:80]!r} kept: it goes on behind a number of rows. "
            "Keep places by cursor.keep or by cursor.over, not by both in one step."
        )


class OverTwice(PausableError):
    """A step's code has gone through two things by `cursor.over`, but keeps one place."""

    sentence = (
        "cursor.over was called twice in one step, which has one place to keep: make two steps of it, or go over "
        "itertools.chain(first, second)."
    )


class WorkflowMalformed(PausableError):
    """A function under `@workflow` cannot be a workflow."""

    workflow: str
    why: str
    sentence = "The workflow {workflow!r} cannot be used: {why}."


class WorkflowUnknown(RequestFailed):
    """No workflow of that name is registered; `near` holds the names that look like it."""

    status, slug, title = 404, "workflow-unknown", "There is no such workflow"
    name: str
    near: list[str]

    def __str__(self) -> str:
        hint = f"Is {' or '.join(self.near)} meant?" if self.near else "GET /workflows lists those there are."
        return f"There is no workflow {self.name!r}. {hint}"


class WorkflowTwice(PausableError):
    """Two modules define workflows of the same name."""

    name: str
    modules: Sequence[str]

    def __str__(self) -> str:
        homes = " and in ".join(self.modules)
        return f"The workflow {self.name!r} is defined twice, in {homes}: rename one of them."


class ModuleUnusable(PausableError):
    """A module that WORKFLOWS names does not import, or defines no workflow."""

    module: str
    why: str
    sentence = "WORKFLOWS names {module}, but {why}."


class ArgumentsInvalid(RequestFailed):
    """The arguments do not fit a workflow's parameters; `faults` names bad `field`s with a `message` each."""

    status, slug, title = 422, "arguments-invalid", "The arguments do not fit the workflow"
    workflow: str
    faults: Sequence[Mapping[str, str]]

    def __str__(self) -> str:
        fields = "; ".join(f"{fault['field']}: {fault['message']}" for fault in self.faults)
        return f"The arguments do not fit the workflow {self.workflow!r}: {fields}."


def _first(names: list[str]) -> str:
    return ", ".join(name[:80] for name in names[:5]) + " and others" * (len(names) > 5)
