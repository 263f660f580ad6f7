"""Every error that the service raises on purpose, each named for the fact it tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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
    """The workflow.json of a paused operation is missing or is not what was written."""

    def __init__(self, operation_id: int, completion: str, why: str) -> None:
        self.operation_id = operation_id
        self.completion = completion
        super().__init__(
            f"Operation {operation_id} stays {completion}: {why}. "
            f"`flask operations rebuild {operation_id}` writes it anew from the database."
        )


class ClaimLost(Exception):
    """A worker's claim is no longer the newest: what it wanted to write was written by nobody."""

    def __init__(self, operation_id: int) -> None:
        self.operation_id = operation_id
        super().__init__(f"A claim on a step of operation {operation_id} was lost.")


class ReplaceRefused(Exception):
    """A step called `self.replace`, which steps of an operation cannot do."""

    def __init__(self, task: str) -> None:
        self.task = task
        super().__init__(f"{task} called self.replace: a step of an operation cannot replace itself with a canvas.")


class ResultRefused(Exception):
    """A step returned a value that JSON cannot hold."""

    def __init__(self, task: str, why: str) -> None:
        self.task = task
        super().__init__(f"{task} returned a value that JSON cannot hold: {why}.")


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


class TokenInvalid(Exception):
    """A token that was given is too short, or holds what no HTTP header may carry; it is not repeated here."""

    def __init__(self) -> None:
        super().__init__("A token needs at least 16 letters, digits or signs of ASCII, and no spaces.")


class DatabaseTooNew(Exception):
    """The database stands at a migration, `revision`, that this version of the service does not know."""

    def __init__(self, revision: str) -> None:
        self.revision = revision
        super().__init__(f"The database stands at migration {revision}, which this version of the service does not know.")


class ReferencesBroken(Exception):
    """A migration would have left rows of `tables` that refer to rows no longer there; it was rolled back."""

    def __init__(self, tables: list[str]) -> None:
        self.tables = tables
        super().__init__(f"After the migration, rows of {', '.join(self.tables)} would refer to rows that are gone.")


class CanvasRefused(Exception):
    """What a workflow returned cannot become the steps of an operation."""


class NotACanvas(CanvasRefused):
    """Something that is no Celery signature stands where one is expected: as the whole canvas, or as a part of it."""

    def __init__(self, found: object) -> None:
        self.found = found
        super().__init__(f"A Celery signature is expected where {found!r:.80} stands.")


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
    """The call of `step` carries an option that an operation cannot honour."""

    def __init__(self, step: str, option: str) -> None:
        self.step = step
        self.option = option
        super().__init__(f"step {step}: an operation cannot honour the option {option}.")


class CanvasTooDeep(CanvasRefused):
    """Groups and chords stand within each other more than `limit` deep."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"The canvas nests groups and chords more than {limit} deep.")


class CanvasTooLarge(CanvasRefused):
    """A canvas has more than `limit` of a kind of `parts`: steps, or edges between steps."""

    def __init__(self, parts: str, limit: int) -> None:
        self.parts = parts
        self.limit = limit
        super().__init__(f"The canvas has more than {limit:,} {parts}.")


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
    """The arguments do not fit a workflow's parameters; `faults` names every bad `field` with a `message`."""

    def __init__(self, workflow: str, faults: Sequence[Mapping[str, str]]) -> None:
        self.workflow = workflow
        self.faults = [dict(fault) for fault in faults]
        fields = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults)
        super().__init__(f"The arguments do not fit the workflow {workflow!r}: {fields}.")


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
        return f"The {self.role} of a pause point must be the signature of one task, as in task.s(7), not {self.given!r}."


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


class TaskMissing(Exception):
    """A worker was given a step whose task it does not have."""

    def __init__(self, task: str) -> None:
        self.task = task
        super().__init__(f"This worker has no task {task}: name its module in WORKFLOWS and restart the worker.")


class CanvasEmpty(CanvasRefused):
    """A workflow returned a canvas without a single step."""

    def __init__(self) -> None:
        super().__init__("The canvas has no step: an operation needs at least one.")


class TaskUnfit(CanvasRefused):
    """A task asks for something that an operation cannot honour."""

    def __init__(self, task: str, asks_for: str) -> None:
        self.task = task
        super().__init__(f"{task} has {asks_for}, which a step of an operation cannot honour: take it off the task.")


class WorkflowRaised(CanvasRefused):
    """The author's function raised, with these arguments, where it should have returned a canvas."""

    def __init__(self, workflow: str, fault: Exception) -> None:
        self.workflow = workflow
        super().__init__(f"The workflow {workflow!r} raised {type(fault).__name__}: {fault}")


class DocumentNotWritten(Exception):
    """The operation has no workflow.json now: only a paused one has."""

    def __init__(self, operation_id: int, completion: str) -> None:
        self.operation_id = operation_id
        self.completion = completion
        super().__init__(f"Operation {operation_id} is {completion}: only a PAUSED one has a workflow.json.")


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


class NotReady(Exception):
    """Something that the service needs does not answer; `checks` tells of each part how it stands."""

    def __init__(self, checks: Mapping[str, Mapping[str, object]]) -> None:
        self.checks = dict(checks)
        failing = ", ".join(name for name, check in checks.items() if not check["ok"])
        super().__init__(f"Not ready: {failing}.")


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


class TokenUnknown(Exception):
    """The user of that `name` has no valid token of the prefix that was given."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name} has no valid token of that prefix: a token's prefix is its first characters.")


class ResultMissing(Exception):
    """The result of an operation was asked for that is not COMPLETED."""

    def __init__(self, operation_id: int, completion: str) -> None:
        self.operation_id = operation_id
        self.completion = completion
        super().__init__(f"Operation {operation_id} is {completion}: only a COMPLETED one has a result.")


class DatabaseBehind(Exception):
    """The database does not stand at the newest migration."""

    def __init__(self) -> None:
        super().__init__("The database does not have the present schema: `flask db upgrade` brings it there.")
