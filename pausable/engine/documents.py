"""Write workflow.json to disk, one immutable file for each version, read it back, and insert what it says as rows."""

from __future__ import annotations

import errno
import inspect
import json
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from celery import Task

from pausable.canvas.values import compact
from pausable.db.files import write_atomically
from pausable.db.history import append_event, last_asked
from pausable.db.operations import Operation, find_operation, origin_of
from pausable.db.steps import Aims, StepRow, code_when_paused, edges_of, list_bare_steps, results_of
from pausable.db.transitions import insert_edges, insert_growths, insert_imported_steps
from pausable.documents.check import LARGEST, check_document, demand_readable, read_document
from pausable.documents.fingerprint import TAG, Reading, read_code
from pausable.documents.model import (
    Cursor,
    Head,
    StepFacts,
    at_rest,
    compose,
    digest_of,
    encode,
    in_order,
    needed_results,
)
from pausable.errors import DocumentMalformed, DocumentUnusable, ResultFault, ResultsUnreachable, TasksUnregistered
from pausable.model.graph import Growth, PausePoint, full_signature, with_growths
from pausable.model.identity import started_elsewhere
from pausable.model.nesting import DEEPEST
from pausable.model.states import DONE, ENDED, FINAL, GOOD, Completion, StepState
from pausable.results.base import inside
from pausable.results.references import reference_in, stored_value
from pausable.results.remote import store_at
from pausable.texts import storable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from celery import Celery

    from pausable.db.database import Connection
    from pausable.engine.engine import Engine
    from pausable.model.graph import Way
    from pausable.model.identity import Origin
    from pausable.results.base import Result

_read: dict[tuple[FunctionType, tuple[type, ...] | None], Reading | None] = {}


def code_of(engine: Engine, workflow: str, tasks: Iterable[str]) -> dict[str, Any]:
    """The fingerprints of a workflow's function, None where that is not known here, and of these tasks."""
    of_workflow = reading_of_workflow(engine, workflow)
    found = {name: reading_of(engine.app, name) for name in sorted(set(tasks))}
    return {
        "python": TAG,
        "workflow": of_workflow and of_workflow.fingerprint,
        "tasks": {name: reading.fingerprint for name, reading in found.items() if reading},
    }


def reading_of(app: Celery, task: str) -> Reading | None:
    """What the code of a task is; None where there is no such task, or no function that it runs."""
    registered = app.tasks.get(task)
    function = _function_of(registered)
    return function and _kept(function, _kinds_of(registered))


def reading_of_workflow(engine: Engine, name: str) -> Reading | None:
    """What the code of a workflow is; None where it is not known here.

    Of its steps it names the tasks alone: each has a fingerprint of its own, and those that have ended do not matter.
    """
    function = engine.policies.of_workflow(name).function
    return _kept(function, None) if isinstance(function, FunctionType) else None


def outdated_files(engine: Engine, workflow: str, tasks: Iterable[str]) -> list[str]:
    """Return the files of a workflow and of tasks that were written after this process had loaded its code."""
    loaded_at = engine.policies.loaded_at
    if loaded_at is None:
        return []
    registered = [engine.app.tasks[name] for name in tasks if name in engine.app.tasks]
    functions = [engine.policies.of_workflow(workflow).function, *map(_function_of, registered)]
    files = {function.__code__.co_filename for function in functions if isinstance(function, FunctionType)}
    return sorted(file for file in files if _written_at(file) > loaded_at)


def _written_at(file: str) -> float:
    try:
        return Path(file).stat().st_mtime
    except OSError:  # it is gone, or code that was never a file
        return 0.0


def _kept(function: FunctionType, kinds: tuple[type, ...] | None) -> Reading | None:
    """The reading of a function, done once: a process does not change its code, unless a name is given another.

    `kinds` are the classes of a task; None says that it is a workflow's function.
    """
    key = function, kinds
    known = _read.get(key)
    if key not in _read or (known is not None and not known.is_current()):
        unwrap = _name_or_self if kinds is None else _function_or_self
        known = _read[key] = read_code(function, unwrap, kinds or ())
    return known


def _function_or_self(value: Any) -> Any:
    return _function_of(value) if isinstance(value, Task) else value


def _name_or_self(value: Any) -> Any:
    return str(value.name) if isinstance(value, Task) else value


def _function_of(task: Any) -> FunctionType | None:
    """What a task runs, as its author wrote it: Celery, and the engine, put functions of their own around that."""
    for name in ("__wrapped__", "run"):
        found = inspect.getattr_static(task.__class__, name, None)  # `type` would tell what stands in for the task
        function = found.__func__ if isinstance(found, staticmethod) else found
        if isinstance(function, FunctionType):
            return function
    return None


def _kinds_of(task: Any) -> tuple[type, ...]:
    """The classes of a task; the one that Celery makes of a decorated function holds its options alone."""
    kinds = type(task).__mro__
    return kinds[1:] if "__wrapped__" in vars(kinds[0]) else kinds


_READING: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_REGISTER: Final = "Bring back the code that it needs, and resume it then."


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An operation and all its steps at one moment, with the results that its document holds and no others."""

    operation: Operation
    steps: tuple[StepFacts, ...]
    origin: Origin
    paused_at: float | None
    #: The fingerprints of the code that it was paused with, where these are known.
    code: dict[str, Any] | None = None
    #: Whether it rests because a budget was spent, and not because anybody has paused it.
    spent: bool = False

    @property
    def head(self) -> Head:
        """What the document tells of the operation itself."""
        operation = self.operation
        return Head(
            operation.id,
            operation.workflow,
            json.loads(operation.arguments),
            json.loads(operation.outcome),
            self.origin,
            slice=operation.slice,
            completion=operation.completion if operation.completion in ENDED else Completion.PAUSED,
            created_at=operation.created_at,
            started_at=operation.started_at,
            paused_at=self.paused_at,
            error=_loads(operation.error),
            result=stored_value(operation.result),
            code=self.code,
            spent=self.spent,
            start_at=operation.start_at,
        )

    def document(self) -> dict[str, Any]:
        """The document of the operation as it stands once it is at rest."""
        return compose(self.head, [_held(step) for step in self.steps])

    def readable_document(self) -> dict[str, Any]:
        """Return the document, which its own reader takes. Raises DocumentMalformed."""
        document = self.document()
        demand_readable(document)
        return document


def snapshot_of(tx: Connection, operation_id: int) -> Snapshot | None:
    """Return the operation and its steps as one transaction sees them; only results that a document holds are read.

    Raises:
        DocumentMalformed: A value is nested so deep that it cannot be read, which earlier versions kept.
    """
    operation = find_operation(tx, operation_id)
    return None if operation is None else snapshot_from(tx, operation)


def snapshot_from(tx: Connection, operation: Operation) -> Snapshot:
    """Return the snapshot of an operation whose row has been read; its steps are read here.

    Raises:
        DocumentMalformed: A value is nested so deep that it cannot be read, which earlier versions kept.
    """
    try:
        return _snapshot_from(tx, operation)
    except RecursionError:
        raise DocumentMalformed(f"is nested more than {DEEPEST} deep") from None


def _snapshot_from(tx: Connection, operation: Operation) -> Snapshot:
    upstream: dict[int, list[int]] = {}
    for up, down in edges_of(tx, operation.id):
        upstream.setdefault(down, []).append(up)
    rows = list_bare_steps(tx, operation.id)
    growths = {row.number: Growth.from_json(aims.growth) for row, aims in rows if aims.growth is not None}
    bare = _grown([_facts(row, aims, upstream.get(row.number, ())) for row, aims in rows], growths)
    kept = {row.number for row, aims in rows if aims.has_result}
    results = results_of(tx, operation.id, needed_results(_loads(operation.outcome), bare) & kept)
    steps = [replace(one, result=_loads(results[one.number])) if one.number in results else one for one in bare]
    code = code_when_paused(tx, operation.id) if operation.completion is Completion.PAUSED else None
    return Snapshot(
        operation, in_order(_told_apart(steps)), origin_of(tx, operation), _paused_at(tx, operation.id), code
    )


def _grown(steps: list[StepFacts], growths: dict[int, Growth]) -> list[StepFacts]:
    """Return the steps with what they have put in their own places, and with what takes that into account as inputs."""
    if not growths:
        return steps
    places: dict[int, list[tuple[int | None, Way]]] = {number: [] for number in growths}
    found = []
    for step in steps:
        inputs, named = with_growths(step.inputs, growths)
        for number, way in named:
            places[number].append((step.number, way))
        found.append(replace(step, inputs=inputs) if named else step)
    told = {number: replace(growth, places=(*places[number], *growth.places)) for number, growth in growths.items()}
    return [replace(step, growth=told[step.number]) if step.number in told else step for step in found]


def _told_apart(steps: list[StepFacts]) -> list[StepFacts]:
    """Return the steps, each with a slug of its own: earlier versions gave one to two steps where a step grew twice."""
    slugs = {step.slug for step in steps}
    if len(slugs) == len(steps):
        return steps
    known: set[str] = set()
    found = []
    for step in steps:
        slug = step.slug
        while slug in known or (slug != step.slug and slug in slugs):
            slug = f"{slug}~{step.number}"
        known.add(slug)
        found.append(replace(step, slug=slug))
    return found


def _paused_at(tx: Connection, operation_id: int) -> float | None:
    """When its waits for a retry stopped: a document that is written once more tells the same."""
    asked = last_asked(tx, operation_id, Completion.REQUESTING_PAUSE)
    return last_asked(tx, operation_id, Completion.PAUSED) if asked is None else asked


def write_document(engine: Engine, snapshot: Snapshot) -> dict[str, str]:
    """Write the document of the version that comes next; returns the two columns that point to it.

    Writing the same version twice writes the same bytes.

    Raises:
        OSError: The disk does not take it.
        DocumentMalformed: Its own reader would refuse it: nothing is written.
    """
    operation = snapshot.operation
    if snapshot.code is None and operation.completion is not Completion.PAUSED:
        snapshot = replace(snapshot, code=code_here(engine, snapshot))
    content = encode(snapshot.readable_document())
    path = _place(engine.workflow_store / str(operation.id), str(operation.version + 1), content)
    write_atomically(path, content, new_folders=2)  # the version's and the operation's
    return {"workflow_store": str(path), "workflow_digest": digest_of(content)}


def code_here(engine: Engine, snapshot: Snapshot) -> dict[str, Any]:
    """The fingerprints of the code that an operation would go on with here."""
    tasks = {step.signature["task"] for step in snapshot.steps if step.state not in FINAL}
    return code_of(engine, snapshot.operation.workflow, tasks)


def _place(folder: Path, version: str, content: bytes) -> Path:
    """Where a version is written; beside one that another process has written of it, whose code is another one."""
    path = folder / version / "workflow.json"
    try:
        is_taken = path.read_bytes() != content
    except OSError:
        is_taken = False
    return folder / f"{version}-{digest_of(content)[:8]}" / "workflow.json" if is_taken else path


def verify_document(operation: Operation, is_registered: Callable[[str], bool] | None = None) -> bytes:
    """The bytes of a paused operation's document, which names only tasks that are registered where that is asked.

    Raises DocumentUnusable, with the reason, when they are not what was written, or are nothing that could go on.
    """
    content = _content_of(operation)
    is_altered = digest_of(content) != operation.workflow_digest
    try:
        check_document(read_document(content), operation.id, operation.workflow, is_registered)
    except DocumentMalformed as malformed:
        raise DocumentUnusable(operation.id, operation.completion, f"its workflow.json {malformed.why}") from None
    except TasksUnregistered as missing:
        if not is_altered:
            raise DocumentUnusable(operation.id, operation.completion, str(missing).rstrip("."), _REGISTER) from None
    if is_altered:
        raise DocumentUnusable(operation.id, operation.completion, "its workflow.json was altered, or is an older one")
    return content


def demand_as_written(operation: Operation) -> None:
    """Demand that a paused operation's document is byte for byte what was written; what it holds is not looked at then.

    Raises DocumentUnusable, with the reason.
    """
    if digest_of(_content_of(operation)) != operation.workflow_digest:
        verify_document(operation)


def _content_of(operation: Operation) -> bytes:
    """What lies where the document should, if that is a file: a pipe in its place would keep its reader waiting."""
    try:
        with open(os.open(operation.workflow_store or "", _READING), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "Not a file")
            return file.read(min(found.st_size, LARGEST) + 1)  # so much memory is taken before any of it is read
    except (OSError, ValueError) as why:
        fault = f"its workflow.json cannot be read ({getattr(why, 'strerror', None) or why})"
        raise DocumentUnusable(operation.id, operation.completion, fault) from why


def _facts(row: StepRow, aims: Aims, upstream: Iterable[int]) -> StepFacts:
    clause, callback = _loads(row.clause), _loads(row.callback)
    point = None if row.point is None else PausePoint(row.point, clause, callback)
    return StepFacts(
        number=row.number,
        slug=row.slug,
        state=row.state,
        signature=full_signature(_loads(row.signature)),
        inputs=_loads(row.inputs),
        upstream=tuple(sorted(upstream)),
        point=point,
        result=stored_value(row.result),
        error=_loads(row.error),
        message=row.message and storable(row.message),  # an earlier version kept any on SQLite
        cursor=None if row.cursor is None else Cursor(_loads(row.cursor), row.done, row.total),
        decides=aims.decides,
        passed=aims.passed,
        plain=aims.plain,
        retries=aims.retries,
        runs=row.runs,
        due_at=row.due_at if row.state is StepState.RETRYING else None,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _held(step: StepFacts) -> StepFacts:
    """The step as it stands once the pause takes effect: what is queued is held then."""
    return replace(step, state=StepState.PAUSED) if step.state is StepState.QUEUED else step


def _loads(text: str | None) -> Any:
    """The JSON as it is: a value of a type that JSON has no word for stays in the form that Celery gives it."""
    return None if text is None else json.loads(text)


_S = StepState
#: Characters of the name of a store that a message shows.
_SHOWN: Final = 200
_BLANK = full_signature({})
#: Columns of a step that a document tells as they are.
_AS_TOLD: Final = (
    "number", "slug", "state", "runs", "retries", "passed", "message", "plain", "due_at", "started_at", "finished_at",
)  # fmt: skip


def fitted(engine: Engine, steps: Iterable[StepFacts]) -> list[StepFacts]:
    """The steps as the code that is registered here has them run, each standing as its upstreams let it."""
    policies = engine.policies
    return at_rest([replace(one, plain=policies.is_plain(one.signature)) for one in steps])


def with_clocks(engine: Engine, head: Head, steps: Iterable[StepFacts], now: float) -> list[StepFacts]:
    """The steps, those that wait for a retry waiting on where they stood when the operation was paused."""

    def moved(step: StepFacts) -> StepFacts:
        waits = head.paused_at is not None and step.due_at is not None and step.due_at > head.paused_at
        if not waits or engine.policies.of_task(step.signature["task"]).count_paused_time:
            return step
        return replace(step, due_at=(step.due_at or 0.0) + max(0.0, now - (head.paused_at or now)))

    return [moved(step) if step.state is _S.RETRYING else step for step in steps]


def demand_reachable(engine: Engine, steps: Iterable[StepFacts], needed: set[int], *, is_ours: bool) -> None:
    """Demand that the results which lie in stores and are needed can be read here.

    A document that no key of this service has signed may name any file and any URL: of the results that it refers to,
    only those are looked at that lie in a store where results are kept here.

    Args:
        engine: The engine, whose settings and workflows name the stores.
        steps: The steps that the document tells of.
        needed: The numbers of those whose results are needed.
        is_ours: Whether a key of this service has signed the document.

    Raises:
        ResultsUnreachable: A result lies in another store, or is needed and cannot be read.
    """
    known = None if is_ours else stores_of(engine)
    faults = [fault for step in steps if (fault := _fault(step, known, is_needed=step.number in needed))]
    if faults:
        raise ResultsUnreachable(faults)


def stores_of(engine: Engine) -> dict[str, Result]:
    """Return the stores in which results are kept here, by their locations."""
    return {store.location: store for store in (engine.results, *engine.policies.stores())}


def _fault(step: StepFacts, known: Mapping[str, Result] | None, *, is_needed: bool) -> str | None:
    """Why the result of a step cannot be read here; None when it can, is in the document, or is not needed."""
    reference = reference_in(compact(step.result))
    if reference is None:
        return None
    if known is not None and reference.store not in known:
        return f"{step.slug} ({reference.store[:_SHOWN]!r} is no store of results here, and the document is not signed)"
    try:
        store = store_at(reference.store)
        inside(reference.path)
        if not is_needed or store.exists(reference.path):
            return None
        return f"{step.slug} (nothing lies at {store.place(reference.path)})"
    except ResultFault as why:
        return f"{step.slug} ({why})"
    except Exception as why:  # a store may raise anything
        return f"{step.slug} ({type(why).__name__}: {why})"


def columns_of(head: Head, steps: Sequence[StepFacts]) -> dict[str, Any]:
    """What a document of these steps tells of its operation, as columns of the row, wherever that comes to stand."""
    return {
        "workflow": head.workflow,
        "arguments": compact(head.arguments),
        "outcome": compact(head.outcome),
        "error": compact(head.error) if head.error else None,
        "created_at": head.created_at,
        "started_at": head.started_at,
        "start_at": head.start_at,
        "slice": head.slice,
        "origin": str(head.origin),
        "steps_total": len(steps),
        "steps_left": sum(step.state not in FINAL for step in steps),
        "steps_done": sum(step.state in DONE for step in steps),
    }


def insert_graph(tx: Connection, operation_id: int, steps: Sequence[StepFacts], origin: Origin) -> None:
    """Put the steps of an operation that was started there into the table, with the edges between them."""
    states = {step.number: step.state for step in steps}
    started = (replace(step, signature=started_elsewhere(step.signature, str(origin))) for step in steps)
    insert_imported_steps(tx, [_row(operation_id, step, states) for step in started])
    insert_edges(tx, operation_id, ((up, step.number) for step in steps for up in step.upstream))
    insert_growths(tx, operation_id, {step.number: step.growth for step in steps if step.growth})


def tell_of_pauses(tx: Connection, operation_id: int, steps: Iterable[StepFacts], now: float) -> None:
    """Write into the history which steps asked for a pause elsewhere: their triggers ask whether they have."""
    for step in steps:
        if step.state is _S.PAUSED and step.runs > 0:
            why = step.message
            append_event(
                tx, operation_id, at=now, who="document", step=step.slug, old=_S.RUNNING, new=_S.PAUSED, why=why
            )


def _said(signature: Mapping[str, Any]) -> dict[str, Any]:
    """The signature without the keys that hold what they hold where nothing is said; its task stands first."""
    return {
        "task": signature["task"],
        **{key: value for key, value in signature.items() if key not in _BLANK or _BLANK[key] != value},
    }


def _row(operation_id: int, step: StepFacts, states: dict[int, StepState]) -> dict[str, Any]:
    above = [states[number] for number in step.upstream]
    return {
        **{name: getattr(step, name) for name in _AS_TOLD},
        **dict.fromkeys(("claim", "losses", "publishes"), 0),
        **_point_columns(step),
        **_cursor_columns(step),
        "operation_id": operation_id,
        "waiting": 0 if step.state in FINAL else sum(state not in FINAL for state in above),
        "spoiled": sum(state in FINAL - GOOD for state in above),
        "signature": compact(_said(step.signature)),
        "inputs": _json(step.inputs),
        "result": _json(step.result),
        "error": _json(step.error),
        "reference": step.decides,
        "parked": False,
    }


def _point_columns(step: StepFacts) -> dict[str, Any]:
    point = step.point
    if point is None:
        return dict.fromkeys(("point", "clause", "callback"))
    return {"point": point.number, "clause": _json(point.clause), "callback": _json(point.callback)}


def _cursor_columns(step: StepFacts) -> dict[str, Any]:
    if step.cursor is None:
        return dict.fromkeys(("cursor", "done", "total"))
    return {"cursor": compact(step.cursor.place), "done": step.cursor.done, "total": step.cursor.total}


def _json(value: Any) -> str | None:
    return None if value is None else compact(value)
