"""workflow.json on disk: one immutable file for each version, written whole or not at all, verified when it is read."""

from __future__ import annotations

import errno
import json
import os
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from app.domain.document import Cursor, Head, Origin, StepFacts, compose, digest_of, encode, in_order, needed_results
from app.domain.document_check import LARGEST, check_document, demand_readable, read_document
from app.domain.graph import PausePoint, full_signature
from app.domain.growth import with_growths
from app.domain.nesting import DEEPEST
from app.domain.states import ENDED, FINAL, Completion, StepState
from app.errors import DocumentMalformed, DocumentUnusable, TasksUnregistered
from app.execution.fingerprints import code_of
from app.results.references import stored_value
from app.store.events import last_asked
from app.store.files import write_atomically
from app.store.growing import growths_of
from app.store.lineage import origin_of
from app.store.operations import Operation, find_operation
from app.store.remaining import code_when_paused
from app.store.step_queries import Aims, StepRow, edges_of, list_aims, list_bare_steps, results_of
from app.texts import storable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from sqlalchemy import Connection

    from app.domain.growth import Growth, Way
    from app.execution.engine import Engine

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
    try:
        return _snapshot_of(tx, operation_id)
    except RecursionError:
        raise DocumentMalformed(f"is nested more than {DEEPEST} deep") from None


def _snapshot_of(tx: Connection, operation_id: int) -> Snapshot | None:
    operation = find_operation(tx, operation_id)
    if operation is None:
        return None
    upstream: dict[int, list[int]] = {}
    for up, down in edges_of(tx, operation_id):
        upstream.setdefault(down, []).append(up)
    rows = zip(list_bare_steps(tx, operation_id), list_aims(tx, operation_id), strict=True)
    growths = growths_of(tx, operation_id)
    bare = _grown([_facts(row, aims, upstream.get(row.number, ())) for row, aims in rows], growths)
    results = results_of(tx, operation_id, needed_results(_loads(operation.outcome), bare))
    steps = [replace(one, result=_loads(results[one.number])) if one.number in results else one for one in bare]
    code = code_when_paused(tx, operation_id) if operation.completion is Completion.PAUSED else None
    return Snapshot(
        operation, in_order(_told_apart(steps)), origin_of(tx, operation), _paused_at(tx, operation_id), code
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
    if operation.completion is not Completion.PAUSED:
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
