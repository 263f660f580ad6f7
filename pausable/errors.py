"""Every error that the service raises on purpose: each is named for the fact it states and carries its object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path


class BackupNeedsPgDump(Exception):
    """A backup of a PostgreSQL database was asked for, which its own program makes."""

    def __init__(self) -> None:
        super().__init__(
            "The database is PostgreSQL: `pg_dump` backs it up, `flask backup FILE --documents` what lies beside."
        )


class RestoreNeedsPgRestore(Exception):
    """An SQLite database was to be restored where DATABASE_URL names a PostgreSQL one."""

    def __init__(self, file: Path) -> None:
        self.file = file
        super().__init__(
            f"{file} holds an SQLite database, and DATABASE_URL names PostgreSQL: restore it where DATABASE_URL is "
            "SQLite; what `pg_dump` wrote, `pg_restore` reads."
        )


class BackupUnusable(Exception):
    """An archive is no backup, or not as it was written: nothing of it was restored."""

    def __init__(self, file: Path, why: str) -> None:
        self.file = file
        super().__init__(f"{file} cannot be restored: {why}. Nothing was changed.")


class DatabaseInTheWay(Exception):
    """There is a database where one was to be restored."""

    def __init__(self, file: Path) -> None:
        self.file = file
        super().__init__(f"There is a database at {file}: `--force` puts the backup in its place, for good.")


class DatabaseInUse(Exception):
    """The database that was to be replaced, or the folder it belongs to, is used by programs that run."""

    def __init__(self, what: Path) -> None:
        self.what = what
        super().__init__(f"{what} is in use by a service that runs: stop it first. Nothing was changed.")


class CanvasRefused(Exception):
    """What a workflow returned cannot become the steps of an operation."""


class CanvasEmpty(CanvasRefused):
    """A workflow returned a canvas without a single step."""

    def __init__(self) -> None:
        super().__init__("The canvas has no step: an operation needs at least one.")


class NotACanvas(CanvasRefused):
    """Something that is no Celery signature stands where one is expected: as the whole canvas, or as a part of it."""

    def __init__(self, found: object, workflow: str | None = None) -> None:
        self.found = found
        if workflow is None:
            super().__init__(f"A Celery signature is expected where {found!r:.80} stands.")
        elif found is None:
            super().__init__(f"The function of the workflow {workflow!r} returned nothing: let it `return` its canvas.")
        else:
            returned = f"The function of the workflow {workflow!r} returned {found!r:.80}"
            super().__init__(f"{returned}: let it return a canvas, such as `a.s() | b.s()`, or a Flow.")


class UnknownTasks(CanvasRefused):
    """A canvas calls tasks that no module of WORKFLOWS registers; `tasks` are their names."""

    def __init__(self, tasks: list[str]) -> None:
        self.tasks = tasks
        super().__init__(f"No task is registered under {', '.join(tasks)}. Is its module named in WORKFLOWS?")


class UnstorableArgument(CanvasRefused):
    """The call of `step` holds a value that JSON cannot hold; `path` leads to it, `fault` says what stands there."""

    def __init__(self, step: str, path: str, fault: str) -> None:
        self.step = step
        self.path = path
        self.fault = fault
        super().__init__(f"step {step}: {path} {fault}, which JSON cannot hold.")


class OptionRefused(CanvasRefused):
    """The call of `step` carries an option that an operation cannot honour; `why` tells what its value is."""

    def __init__(self, step: str, option: str, why: str | None = None) -> None:
        self.step = step
        self.option = option
        words = f"{option} {why}" if why else f"an operation cannot honour the option {option}"
        super().__init__(f"step {step}: {words}.")


class CallMisfits(CanvasRefused):
    """A step calls its task with arguments that the task's function does not take."""

    def __init__(self, step: str, task: str, why: str) -> None:
        self.step = step
        self.task = task
        super().__init__(f"step {step}: {task} cannot be called with these arguments: {why}.")


class CanvasTooDeep(CanvasRefused):
    """Groups and chords stand within each other more than `limit` deep."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"The canvas nests groups, chords or replacements more than {limit} deep.")


class CanvasTooLarge(CanvasRefused):
    """A canvas has more than `limit` of a kind of `parts`: steps, or edges between steps."""

    def __init__(self, parts: str, limit: int) -> None:
        self.parts = parts
        self.limit = limit
        super().__init__(f"The canvas has more than {limit:,} {parts}.")


class TaskUnfit(CanvasRefused):
    """A task asks for something that an operation cannot honour; `why` tells what is wrong with its value."""

    def __init__(self, task: str, asks_for: str, why: str | None = None) -> None:
        self.task = task
        words = f"which {why}" if why else "which a step of an operation cannot honour: take it off the task"
        super().__init__(f"{task} has {asks_for}, {words}.")


class ApplyAsyncUnfit(CanvasRefused):
    """The `apply_async` of a task's base class, asked how it would send a step, gave no answer that can be kept."""

    def __init__(self, task: str, why: str) -> None:
        self.task = task
        super().__init__(f"The apply_async of {task} {why}.")


class WorkflowRaised(CanvasRefused):
    """The author's function raised, with these arguments, where it should have returned a canvas."""

    def __init__(self, workflow: str, fault: BaseException) -> None:
        self.workflow = workflow
        super().__init__(f"The workflow {workflow!r} raised {type(fault).__name__}: {fault}")


class ReferenceUnknown(CanvasRefused):
    """A workflow names reference steps that its canvas does not have."""

    def __init__(self, missing: Sequence[str], slugs: Sequence[str]) -> None:
        self.missing = list(missing)
        names, some = ", ".join(missing), ", ".join(slugs[:20])
        super().__init__(f"reference= names {names}, but the steps are {some}: name steps or tasks of the canvas.")


class FlowMalformed(CanvasRefused):
    """A flow is put together in a way that cannot be run."""

    def __init__(self, flow: str, why: str) -> None:
        self.flow = flow
        self.why = why
        super().__init__(f"The flow {flow!r} cannot be run: {why}.")


class FlowOptionTwice(CanvasRefused):
    """A workflow and the flow that it returns both have an option."""

    def __init__(self, workflow: str, option: str) -> None:
        self.workflow = workflow
        self.option = option
        both = f"@workflow({workflow!r}) and the flow that it returns both have {option}"
        super().__init__(f"{both}: give all of it to one of them.")


class FlowCyclic(CanvasRefused):
    """Nodes of a flow wait for each other; `path` names them, and ends where it begins."""

    def __init__(self, path: Sequence[str]) -> None:
        self.path = list(path)
        super().__init__(f"Nodes of the flow wait for each other: {' → '.join(reversed(path))}.")


class DocumentUntrusted(Exception):
    """A document is not signed, or not by a key of this service; `why` goes on from "it"."""

    def __init__(self, why: str, remedy: str) -> None:
        self.why = why
        super().__init__(f"The workflow.json {why}: nothing of it was run. {remedy}")


class TrustNeedsAdmin(Exception):
    """Somebody who is no admin asked for what only an admin may answer for: `what`."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"Only an admin may {what}.")


class DocumentOlder(Exception):
    """A document is of an older slice than what is known here of the same operation."""

    def __init__(self, given: int, known: int, operation_id: int, completion: str) -> None:
        self.operation_id = operation_id
        self.completion = completion
        super().__init__(
            f"The workflow.json is of slice {given}, and operation {operation_id}, which is {completion}, has come to "
            f"slice {known} of the same operation: steps that have run since would run again. Import a newer one."
        )


class OperationAtWork(Exception):
    """A document cannot be imported while the operation that it is of goes on here."""

    def __init__(self, operation_id: int, completion: str) -> None:
        self.operation_id = operation_id
        self.completion = completion
        super().__init__(
            f"Operation {operation_id}, of which this is a workflow.json, is {completion} here: pause or cancel it."
        )


class OperationMoved(Exception):
    """An operation was moved elsewhere, and may go on only there."""

    def __init__(self, operation_id: int, completion: str, moved: str) -> None:
        self.operation_id = operation_id
        self.completion = completion
        verb = "retry" if completion == "FAILED" else "resume"
        super().__init__(
            f"Operation {operation_id} stays {completion}: {moved}, and goes on there. An admin who knows that it does "
            f"not takes it back with `accept=moved` (`flask operations {verb} {operation_id} --accept-moved`)."
        )


class ResultsUnreachable(Exception):
    """Results that the rest of a document needs lie where this service cannot read them; `results` names them."""

    def __init__(self, results: list[str]) -> None:
        self.results = results
        named = "; ".join(one[:300] for one in results[:5])
        super().__init__(
            f"Results that the rest needs cannot be read here: {named}{'; and others' * (len(results) > 5)}. Make "
            "their stores reachable, or export with a larger `inline`."
        )


class SlugsUnfit(Exception):
    """A document tells of steps by slugs that the workflow does not have, or that could be several of its steps."""

    def __init__(self, workflow: str, unknown: list[str], ambiguous: list[str]) -> None:
        self.unknown = unknown
        self.ambiguous = ambiguous
        said = [f"{_listed(unknown)}: no step is called so"] * bool(unknown)
        said += [f"{_listed(ambiguous)}: several steps may be meant"] * bool(ambiguous)
        super().__init__(f"{workflow:.80} has other steps ({'; '.join(said)}). Leave them out, or be lenient.")


def _listed(names: list[str]) -> str:
    return ", ".join(name[:80] for name in names[:5]) + " and others" * (len(names) > 5)


class SliceFailed(Exception):
    """The process that was to run a slice has ended without; it said `why`."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"A slice could not be run. {why}")


class PublisherUnusable(Exception):
    """There is nowhere to publish the rest of an operation to: `why`."""

    def __init__(self, why: str) -> None:
        super().__init__(f"PUBLISH_TO {why}.")


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


class SettingsInvalid(Exception):
    """One or more settings cannot be used; `faults` holds a sentence, free of secrets, under each variable's name."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        self.faults = dict(faults)
        super().__init__("\n".join(self.faults.values()))


class BrokerProgramMissing(Exception):
    """No broker is given and none can be started: neither the pinned wheel nor the machine has a server program."""

    def __init__(self) -> None:
        super().__init__(
            "BROKER_URL is not set and no valkey-server or redis-server was found: "
            "install one of them, or set BROKER_URL to a broker that runs elsewhere."
        )


class ProgramKeepsDying(Exception):
    """A supervised program ended too often within a minute to be started again."""

    def __init__(self, program: str, times: int, ending: str) -> None:
        self.program = program
        self.times = times
        self.ending = ending
        super().__init__(f"{program} ended {times} times within a minute, at last {ending}: giving up.")


class DatabaseTooNew(Exception):
    """The database stands at a migration, `revision`, that this version of the service does not know."""

    def __init__(self, revision: str) -> None:
        self.revision = revision
        super().__init__(
            f"The database stands at migration {revision}, which this version of the service does not know."
        )


class DatabaseBehind(Exception):
    """The database does not stand at the newest migration."""

    def __init__(self) -> None:
        super().__init__("The database does not have the present schema: `flask db upgrade` brings it there.")


class DatabaseUnavailable(Exception):
    """The database is locked for longer than one waits, full, read-only or gone; `retry_after` is in seconds."""

    def __init__(self, retry_after: int = 5, why: str | None = None) -> None:
        self.retry_after = retry_after
        what = f"takes no writes just now ({why})" if why else "cannot be reached just now"
        super().__init__(f"The database {what}: try again in {retry_after} seconds.")


class ReferencesBroken(Exception):
    """A migration would have left rows of `tables` that refer to rows no longer there; it was rolled back."""

    def __init__(self, tables: list[str]) -> None:
        self.tables = tables
        super().__init__(f"After the migration, rows of {', '.join(self.tables)} would refer to rows that are gone.")


class NotReady(Exception):
    """Something that the service needs does not answer; `checks` tells of each part how it stands."""

    def __init__(self, checks: Mapping[str, Mapping[str, object]]) -> None:
        self.checks = dict(checks)
        failing = ", ".join(name for name, check in checks.items() if not check["ok"])
        super().__init__(f"Not ready: {failing}.")


@dataclass(eq=False)
class InputUnusable(Exception):
    """A file below INPUT_DIR cannot be read as asked; `path` is the name that the operation gave it."""

    path: str
    sentence: ClassVar[str]

    def __str__(self) -> str:
        """A sentence that names the file, the place in it and, where there is one, the remedy."""
        return self.sentence.format_map(vars(self))


@dataclass(eq=False)
class InputUnreadable(InputUnusable):
    """There is no such file, or it is none that can be opened and read."""

    why: str
    sentence = "There is no readable file {path!r} below INPUT_DIR: {why}."


@dataclass(eq=False)
class InputOutside(InputUnusable):
    """The name leads outside INPUT_DIR, by a link."""

    sentence = "{path!r} leads outside INPUT_DIR: only files that lie below that folder are read."


@dataclass(eq=False)
class InputEmpty(InputUnusable):
    """There is no header line to find the columns by."""

    sentence = "{path!r} is empty: it has no header line that names its columns."


@dataclass(eq=False)
class InputChanged(InputUnusable):
    """The file is not the one that the first step read: its size or its time of change differs."""

    sentence = "{path!r} changed after the operation began to read it: start a new operation on the file as it is now."


@dataclass(eq=False)
class ColumnMissing(InputUnusable):
    """The header does not name a column that is asked for; `columns` are those it names."""

    column: str
    columns: str
    sentence = "{path!r} has no column {column!r}: its header names {columns}."


@dataclass(eq=False)
class ColumnRepeated(InputUnusable):
    """The header names a column that is asked for more than once."""

    column: str
    sentence = "{path!r} has more than one column {column!r}: rename all but one in its header."


@dataclass(eq=False)
class RowUnusable(InputUnusable):
    """A row cannot be read; the header is row 1, and blank rows are numbered too."""

    row: int


@dataclass(eq=False)
class RowTooShort(RowUnusable):
    """A row ends before a column that is asked for."""

    sentence = "Row {row} of {path!r} has too few fields: it ends before a column that is asked for."


@dataclass(eq=False)
class RowTooLong(RowUnusable):
    """A field or a whole row is longer than may be kept in memory."""

    sentence = (
        "Row {row} of {path!r} is too long: a field may have 131,072 characters and a row 4 MiB; "
        "perhaps a quote in it is never closed."
    )


@dataclass(eq=False)
class QuoteUnclosed(RowUnusable):
    """A quote is opened in a row, and the file ends before it is closed."""

    sentence = "Row {row} of {path!r} opens a quote that is never closed."


@dataclass(eq=False)
class EncodingInvalid(RowUnusable):
    """A row is not UTF-8."""

    sentence = "Row {row} of {path!r} is not UTF-8: save the file in that encoding."


class NotificationMalformed(ValueError):
    """A notification was made of something that cannot be sent; `why` says what is wrong with it."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"This is no notification: {why}.")


class ChangeUnknown(NotificationMalformed):
    """A notification is to be sent when something happens that no state tells of."""

    def __init__(self, word: object, known: Iterable[str]) -> None:
        self.word = word
        super().__init__(f"`when` says {word!r}, which is none of {', '.join(known)}")


class TemplateMalformed(NotificationMalformed):
    """The text of a notification asks for something that no change has, or for it in a way that is not allowed."""

    def __init__(self, why: str, known: Iterable[str]) -> None:
        super().__init__(f"{why}; a text may hold {', '.join(f'{{{name}}}' for name in known)}")


class AddressMalformed(NotificationMalformed):
    """A notification goes to something that is no URL, or to one of which no service is known."""


class NotDelivered(Exception):
    """One try to deliver a notification came to nothing; another may fare better."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


class WebhookHostRefused(NotDelivered):
    """A webhook goes to a host that the settings do not name."""

    def __init__(self, host: str) -> None:
        self.host = host
        super().__init__(f"webhooks may not go to {host}: add it to WEBHOOK_HOSTS, or set that to {host}")


class WebhookKeyMalformed(NotDelivered):
    """The secret that webhooks are signed with is no key."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"the secret {name} must be whsec_ followed by 24 to 64 bytes in Base64")


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

    def __init__(self, operation_id: int, completion: str, findings: Sequence[Any]) -> None:
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


class BulkNotFound(Exception):
    """There is no bulk of that id, or it is not this requester's."""

    def __init__(self, bulk_id: int) -> None:
        super().__init__(f"There is no bulk {bulk_id}, or it is not yours.")


class BulkRefused(Exception):
    """What is asked of many operations is not asked in earnest, or of the wrong ones."""


class BulkUnbounded(BulkRefused):
    """Neither a workflow nor where the operations stand was named."""

    def __init__(self, verb: str) -> None:
        super().__init__(
            f"To {verb} many operations, say which: those of a workflow, those that stand somewhere, or both."
        )


class BulkMisdirected(BulkRefused):
    """Operations that stand there are never changed by what is asked."""

    def __init__(self, verb: str, completion: str, possible: Iterable[str]) -> None:
        super().__init__(f"To {verb} an operation that is {completion} changes nothing; name {', '.join(possible)}.")


class BulkKeyReused(IdempotencyKeyReused):
    """An idempotency key came again with another request than the first time."""

    def __init__(self, key: str, bulk_id: int) -> None:
        self.key = key
        Exception.__init__(self, f"The idempotency key {key!r} already asked for bulk {bulk_id} with another request.")


class BulkMovedOn(Exception):
    """Another worker has gone on with the bulk, or it was stopped."""

    def __init__(self, bulk_id: int) -> None:
        super().__init__(f"Bulk {bulk_id} has moved on.")


class OperationMovedOn(Exception):
    """The operation stands elsewhere than it was looked at a moment ago."""

    def __init__(self, operation_id: int) -> None:
        super().__init__(f"Operation {operation_id} has moved on.")


class PauseIntervalInvalid(ValueError):
    """Pause points cannot be put after every `nth` link: `nth` is not a whole number of 0 or more."""

    def __init__(self, nth: object) -> None:
        self.nth = nth
        super().__init__(nth)

    def __str__(self) -> str:
        return f"nth must be a whole number, 0 (only the pause points placed by hand) or more, not {self.nth!r}."


class PauseSignatureInvalid(TypeError):
    """A clause or callback is not the signature of one task; `role` says which, `given` is what came instead."""

    def __init__(self, role: str, given: object) -> None:
        self.role = role
        self.given = given
        super().__init__(role, given)

    def __str__(self) -> str:
        return (
            f"The {self.role} of a pause point must be the signature of one task, as in task.s(7), not {self.given!r}."
        )


class PausePointIncomplete(ValueError):
    """A pause point was reached that has no clause or no callback, and nothing around it that supplies one."""

    def __init__(self, missing: str) -> None:
        self.missing = missing
        super().__init__(missing)

    def __str__(self) -> str:
        return (
            f"This pause point has no {self.missing}: give it one, pause_or_continue.s({self.missing}=task.s(...)), "
            "or put it into a canvas that goes through tappable()."
        )


class PausingNeedsWorker(RuntimeError):
    """A clause asked to pause in Celery's eager mode, where what remains to be run is not known and would be lost."""

    def __init__(self) -> None:
        super().__init__()

    def __str__(self) -> str:
        return "A pause was asked for in eager mode, which hides the rest of the workflow: pause it on a worker."


class UserExists(Exception):
    """A user of that `name` is there already."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"There is a user named {name} already.")


class UserNameInvalid(Exception):
    """A user's `name` is not 1 to 64 printable characters without spaces around them."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name!r} cannot be a user's name: use 1 to 64 printable characters, no spaces around them.")


class UserUnknown(Exception):
    """There is no user of that `name`."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"There is no user named {name}: `flask users list` shows those there are.")


class AdminMissing(Exception):
    """Somebody is to act in the name of the oldest admin, and there is no admin."""

    def __init__(self) -> None:
        super().__init__(
            "There is no admin to act for: name somebody by --user, or make one with `flask users add NAME --admin`."
        )


class TokenInvalid(Exception):
    """A token that was given is too short, or holds what no HTTP header may carry; it is not repeated here."""

    def __init__(self) -> None:
        super().__init__("A token needs at least 16 letters, digits or signs of ASCII, and no spaces.")


class TokenUnknown(Exception):
    """The user of that `name` has no valid token of the prefix that was given."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name} has no valid token of that prefix: a token's prefix is its first characters.")


class TokensChanged(Exception):
    """A user's tokens have changed since they saw them, by another request or by this one sent twice."""

    def __init__(self) -> None:
        super().__init__("Your tokens have changed since that page was shown, so nothing was done: here they are anew.")


class TooManyTokens(Exception):
    """A user who has `most` valid tokens wants another."""

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(f"You have {most} valid tokens: revoke one that is not used before you make another.")


class TooManyFailedTokens(Exception):
    """Too many tokens that open nothing came from one address: `retry_after` says for how many seconds it is shut."""

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"Too many tokens from your address opened nothing: try again in {retry_after} seconds.")


class TokenRefused(Exception):
    """A request came without a bearer token, or (`is_given`) with one that opens nothing; it is not repeated here."""

    def __init__(self, *, is_given: bool) -> None:
        self.is_given = is_given
        fault = "The token is unknown or was revoked" if is_given else "A token is needed"
        super().__init__(f"{fault}: send the header `Authorization: Bearer TOKEN`.")


class BodyMalformed(Exception):
    """The body of a request is not the JSON that is expected."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The body cannot be read as JSON: {why}.")


class RequestInvalid(Exception):
    """A request is well-formed but wrong; `faults` tells where (`in`), which `field`, and a `message` for each."""

    def __init__(self, faults: Sequence[Mapping[str, str]]) -> None:
        self.faults = [dict(fault) for fault in faults]
        fields = "; ".join(f"{fault['field'] or fault['in']}: {fault['message']}" for fault in faults)
        super().__init__(f"The request cannot be used: {fields}.")


class TooManyWatchers(Exception):
    """As many streams are open as this server has room for; in `retry_after` seconds there may be room again."""

    retry_after: Final = 5

    def __init__(self) -> None:
        super().__init__(
            "As many streams are open as this server has room for: try again in a few seconds, or ask for JSON."
        )


class ServiceBusy(Exception):
    """No request has ended within the time that this one waited for its turn; try again in `retry_after` seconds."""

    retry_after: Final = 5

    def __init__(self) -> None:
        super().__init__("The service is busy: as many requests as it answers at a time are waiting. Try again.")


class MomentMalformed(ValueError):
    """A text is no moment as ISO 8601 writes it, with an offset from UTC."""

    def __init__(self) -> None:
        super().__init__("a date and time is expected as in 2027-01-31T20:00:00+01:00, with its offset from UTC, or Z")


class MomentTooFar(ValueError):
    """A moment lies too far ahead."""

    def __init__(self) -> None:
        super().__init__("it lies more than ten years ahead")


class ResultFault(Exception):
    """A result cannot be kept outside the table, or not be read there; each kind says why."""


class TargetOutside(ResultFault):
    """A target, once its fields were filled in, names no place inside its store."""

    def __init__(self, target: str, why: str) -> None:
        self.target = target
        super().__init__(f"The target {target!r} is refused: it {why}.")


class TargetMalformed(ResultFault):
    """A target's fields could not be filled in from the facts of the step and its arguments."""

    def __init__(self, template: str, why: str) -> None:
        self.template = template
        super().__init__(f"The target {template!r} cannot be filled in: {why}.")


class ResultUnreadable(ResultFault):
    """A result that should lie in a store cannot be read there, or is not what its serializer writes."""

    def __init__(self, place: str, why: str) -> None:
        self.place = place
        super().__init__(f"The result at {place} cannot be read: {why}.")


class ResultUnwritable(ResultFault):
    """A result could not be written into its store."""

    def __init__(self, place: str, why: str) -> None:
        self.place = place
        super().__init__(f"The result could not be written to {place}: {why}.")


class ResultUnfit(ResultFault):
    """A value is not of the kind that the serializer of its step can hold."""

    def __init__(self, serializer: str, why: str) -> None:
        self.serializer = serializer
        super().__init__(f"The serializer {serializer!r} cannot hold the result: {why}.")


class StoreUnknown(ResultFault):
    """No store of results is known by the scheme of this URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(
            f"There is no store of results for {url!r}: give a folder, s3://bucket/prefix, gs://bucket/prefix, "
            "or another URL that fsspec knows."
        )


class StorePackageMissing(ResultFault):
    """A store of results needs a package that is not installed."""

    def __init__(self, scheme: str, extra: str) -> None:
        self.scheme = scheme
        super().__init__(f"The store {scheme}:// needs a package that is not installed: pip install 'fsspec[{extra}]'.")


class SecretNameInvalid(ValueError):
    """A secret was asked for under a name that no variable and no file may have."""

    def __init__(self, name: object) -> None:
        self.name = name
        super().__init__(
            f"{name!r} cannot name a secret: it begins with a letter or _, and letters, digits, _, . and - may follow."
        )


class SecretMissing(LookupError):
    """A secret is in none of the three places where secrets are looked for; `why` tells of a file that is no use."""

    def __init__(self, name: str, folder: Path, why: str = "") -> None:
        self.name = name
        self.folder = folder
        told = f" ({why})" if why else ""
        super().__init__(
            f"The secret {name} is missing: set the environment variable {name}, or put it into the file "
            f"{folder / name}{told}, or into .env."
        )


class SecretInResult(Exception):
    """A step returned, or wanted to be retried with, a value that holds a secret; `what` says which of the two."""

    def __init__(self, task: str, what: str, name: str) -> None:
        self.task = task
        self.name = name
        super().__init__(
            f"The {what} of {task} holds the secret {name}: secrets are kept nowhere, so it is not recorded."
        )


class ClaimLost(Exception):
    """A worker's claim is no longer the newest: what it wanted to write was written by nobody."""

    def __init__(self, operation_id: int) -> None:
        self.operation_id = operation_id
        super().__init__(f"A claim on a step of operation {operation_id} was lost.")


class ResultRefused(Exception):
    """A step returned a value that JSON cannot hold; `at` is where in it, such as `["rows"][3]`."""

    def __init__(self, task: str, why: str, at: str = "") -> None:
        self.task = task
        self.at = at
        super().__init__(f"{task} returned a value that JSON cannot hold: {why}{at and f', at {at}'}.")


class TaskMissing(Exception):
    """A worker was given a step whose task it does not have."""

    def __init__(self, task: str) -> None:
        self.task = task
        super().__init__(f"This worker has no task {task}: name its module in WORKFLOWS and restart the worker.")


class NotAnEnding(Exception):
    """A step's code ended in a state that tells neither of a result nor of a failure."""

    def __init__(self, task: str, state: str) -> None:
        self.task = task
        self.state = state
        super().__init__(f"{task} ended {state} without a result: an operation cannot go on from there.")


class RequestChanged(Exception):
    """A step's code changed what leads on from it in its request, where an operation does not keep that."""

    def __init__(self, task: str, names: Sequence[str]) -> None:
        self.task = task
        self.names = list(names)
        super().__init__(
            f"{task} changed self.request.{', self.request.'.join(names)}, which decides nothing in an operation: "
            "raise signals.SKIP to end what follows, or return self.replace(canvas) to put something else there."
        )


class AddToChordRefused(Exception):
    """A step's code asked for a place in the chord that it is a member of."""

    def __init__(self, task: str) -> None:
        self.task = task
        super().__init__(
            f"{task} called add_to_chord, which an operation does not have: "
            "return self.replace(group(…)) to hand on the values of several calls."
        )


class HardLimitNeedsPrefork(Exception):
    """A worker's pool cannot keep the hard time limit that a task has: only a process can be killed."""

    def __init__(self, pool: str, tasks: Sequence[str]) -> None:
        self.pool = pool
        self.tasks = list(tasks)
        super().__init__(
            f"The pool {pool!r} cannot keep the time_limit of {', '.join(tasks)}: "
            "start the worker with --pool prefork, or give these tasks a soft_time_limit instead."
        )


class StepNotFound(Exception):
    """The operation has no step of that name."""

    def __init__(self, operation_id: int, slug: str) -> None:
        self.operation_id = operation_id
        self.slug = slug
        super().__init__(f"Operation {operation_id} has no step {slug!r}.")


class WorkerLost(Exception):
    """The workers that ran a step were lost, one after the other: it is not given to another."""

    def __init__(self, losses: int) -> None:
        self.losses = losses
        super().__init__(f"Its worker was lost {losses} times.")


class TimeLimitPassed(Exception):
    """A step ran for longer than its hard time limit, and its process was killed."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"It was killed because it ran for longer than its time limit of {seconds:g} s.")


class StateMalformed(Exception):
    """What should be a state, written down, is none."""

    def __init__(self, facts: object, why: str) -> None:
        self.facts = facts
        self.why = why
        super().__init__(f"This is no state: {why}.")


class HandlerAnswered(Exception):
    """A state handler returned something that cannot be kept there."""

    def __init__(self, handler: str, answer: object, wanted: str) -> None:
        self.handler = handler
        self.answer = answer
        super().__init__(f"The state handler {handler} returned {answer!r}: it must return {wanted}, or None.")


class StepOptionInvalid(Exception):
    """An option of `@step` or `@workflow` cannot be used."""

    def __init__(self, option: str, why: str) -> None:
        self.option = option
        self.why = why
        super().__init__(f"{option} {why}.")


class PlaceRefused(Exception):
    """A step's code gave `cursor.keep` something that cannot be kept."""

    def __init__(self, what: str, why: str) -> None:
        self.what = what
        self.why = why
        super().__init__(f"cursor.keep was given {what} that {why}.")


class PlaceRefusedToChild(Exception):
    """A process that a step's code has started called `cursor.keep`; the place is its parent's to keep."""

    def __init__(self) -> None:
        super().__init__(
            "cursor.keep was called in a child process of the step: keep the place in the process that runs the step."
        )


class PlaceOfAnother(Exception):
    """The place that a step has kept is no count of rows, which `cursor.over` goes on behind."""

    def __init__(self, place: object) -> None:
        self.place = place
        super().__init__(
            f"cursor.over found {str(place)[:80]!r} kept: it goes on behind a number of rows. "
            "Keep places by cursor.keep or by cursor.over, not by both in one step."
        )


class OverTwice(Exception):
    """A step's code has gone through two things by `cursor.over`, but keeps one place."""

    def __init__(self) -> None:
        super().__init__(
            "cursor.over was called twice in one step, which has one place to keep: make two steps of it, "
            "or go over itertools.chain(first, second)."
        )


class WorkflowMalformed(Exception):
    """A function under `@workflow` cannot be a workflow."""

    def __init__(self, workflow: str, why: str) -> None:
        self.workflow = workflow
        super().__init__(f"The workflow {workflow!r} cannot be used: {why}.")


class WorkflowUnknown(Exception):
    """No workflow of that name is registered; `near` holds the names that look like it."""

    def __init__(self, name: str, near: Sequence[str]) -> None:
        self.name = name
        self.near = list(near)
        hint = f" Is {' or '.join(near)} meant?" if near else " GET /workflows lists those there are."
        super().__init__(f"There is no workflow {name!r}.{hint}")


class WorkflowTwice(Exception):
    """Two modules define workflows of the same name."""

    def __init__(self, name: str, modules: Sequence[str]) -> None:
        self.name = name
        self.modules = list(modules)
        super().__init__(f"The workflow {name!r} is defined twice, in {' and in '.join(modules)}: rename one of them.")


class ModuleUnusable(Exception):
    """A module that WORKFLOWS names does not import, or defines no workflow."""

    def __init__(self, module: str, why: str) -> None:
        self.module = module
        super().__init__(f"WORKFLOWS names {module}, but {why}.")


class ArgumentsInvalid(Exception):
    """The arguments do not fit a workflow's parameters; `faults` names bad `field`s with a `message` each."""

    def __init__(self, workflow: str, faults: Sequence[Mapping[str, str]]) -> None:
        self.workflow = workflow
        self.faults = [dict(fault) for fault in faults]
        fields = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults)
        super().__init__(f"The arguments do not fit the workflow {workflow!r}: {fields}.")
