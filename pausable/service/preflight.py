"""Pre-flight: what an operation has yet to run, held against the code, secrets, stores and workers that there are now.

Nothing is changed, and nothing asked of a store over a network.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pausable import clock
from pausable.canvas.task import is_author_error
from pausable.db.operations import find_operation
from pausable.db.steps import code_when_paused, needed_results, remaining_calls, signatures_behind
from pausable.db.views import listening
from pausable.documents.check import tasks_of
from pausable.documents.fingerprint import TAG
from pausable.engine.documents import code_of, demand_as_written, outdated_files, reading_of
from pausable.engine.release import looked_at_worker
from pausable.engine.start import misfit
from pausable.errors import DocumentUnusable, OperationNotFound, PreflightFailed, ResultFault, SecretMissing
from pausable.model import explanation
from pausable.model.states import ENDED, Completion
from pausable.results.local import LocalResult
from pausable.results.references import reference_in
from pausable.results.remote import RemoteResult, store_at
from pausable.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from pausable.db.operations import Operation
    from pausable.db.steps import Remaining
    from pausable.engine.engine import Engine
    from pausable.engine.policies import WorkflowPolicy
    from pausable.model.explanation import Finding, Listening
    from pausable.results.base import Result

_WRITING: Final = os.W_OK | os.X_OK


def preflight(engine: Engine, operation_id: int) -> list[Finding]:
    """All that is found, what is in the way first; of an operation that has ended nothing. Raises OperationNotFound."""
    with engine.database.glance() as tx:
        operation = find_operation(tx, operation_id)
    if operation is None:
        raise OperationNotFound(operation_id)
    if operation.completion in ENDED:
        return []
    found = [*_of_document(operation), *_of_rest(engine, operation)]
    return sorted(found, key=lambda one: (not one.blocks, one.accept is not None))


def demand_fit(engine: Engine, operation: Operation, accepted: Collection[str]) -> list[Finding]:
    """Demand that nothing is in the way of a paused operation but what is accepted; returns what was.

    Its document has been looked at before. Raises PreflightFailed.
    """
    found = list(_of_rest(engine, operation))
    if explanation.in_the_way(found, accepted):
        raise PreflightFailed(operation.id, operation.completion, explanation.in_the_way(found, accepted))
    return explanation.in_the_way(found)


def _of_document(operation: Operation) -> Iterator[Finding]:
    if operation.completion is Completion.PAUSED:
        try:
            demand_as_written(operation)
        except DocumentUnusable as why:
            yield explanation.document_unusable(str(why))


def _of_rest(engine: Engine, operation: Operation) -> Iterator[Finding]:
    with engine.database.read() as tx:
        calls, behind = remaining_calls(tx, operation.id), signatures_behind(tx, operation.id)
        needed, workers = needed_results(tx, operation.id), listening(tx)
        is_paused = operation.completion is Completion.PAUSED
        code = code_when_paused(tx, operation.id) if is_paused else None
    yield from _gone(engine, calls, behind)
    yield from _misfits(engine, calls)
    for file in outdated_files(engine, operation.workflow, {call.task for call in calls}):
        yield explanation.code_outdated(file)
    if is_paused:
        yield from _changed(engine, operation.workflow, calls, code)
    policy = _policy_of(engine, operation)
    yield from _secrets(engine, policy, {call.task for call in calls})
    yield from _stores(engine, policy, {call.task for call in calls})
    yield from _results(needed)
    yield from _unheard(engine, calls, workers)


def _policy_of(engine: Engine, operation: Operation) -> WorkflowPolicy:
    """Return what the operation's author asks for, as far as the code that is here now tells."""
    try:
        return engine.policies.of_operation(operation)
    except BaseException as fault:  # the author's function: that it has changed is found beside this
        if not is_author_error(fault):
            raise
        return engine.policies.of_workflow(operation.workflow)


def _gone(engine: Engine, calls: Iterable[Remaining], behind: Iterable[Mapping[str, object]]) -> Iterator[Finding]:
    steps: dict[str, tuple[str | None, int]] = {}
    for call in calls:
        for task in _tasks(call):
            first, many = steps.get(task, (call.slug, 0))
            steps[task] = first, many + call.steps
    for signature in behind:
        for task in tasks_of(signature):
            steps.setdefault(task, (None, 0))
    for task, (step, many) in sorted(steps.items()):
        if task not in engine.app.tasks:
            yield explanation.task_gone(task, step, many)


def _tasks(call: Remaining) -> Iterator[str]:
    """The tasks that a step may call: its own, those of its error callbacks, and the one that it maps."""
    yield from tasks_of({"task": call.task, "options": call.options, "kwargs": call.keywords})


def _misfits(engine: Engine, calls: Iterable[Remaining]) -> Iterator[Finding]:
    seen: dict[tuple[str, int, frozenset[str]], list[Remaining]] = {}
    for call in calls:
        seen.setdefault((call.task, call.positional, frozenset(call.keywords)), []).append(call)
    for (task, positional, keywords), alike in seen.items():
        why = misfit(engine.app.tasks.get(task), positional, keywords)
        if why:
            yield explanation.call_misfits(task, alike[0].slug, sum(one.steps for one in alike), why)


def _changed(
    engine: Engine, workflow: str, calls: Iterable[Remaining], code: Mapping[str, object] | None
) -> Iterator[Finding]:
    if code is None or code.get("python") != TAG:
        kinds = code and f"of the kind {code.get('python')}, and those that are made here of the kind {TAG}"
        other = f"its fingerprints are {kinds}" if kinds else None
        yield explanation.code_unknown(other or "nothing was kept of it when it was paused")
        return
    kept, steps = code["tasks"], _steps_by_task(calls)
    present = code_of(engine, workflow, steps)
    if code["workflow"] is not None and code["workflow"] != present["workflow"]:
        yield explanation.workflow_changed(workflow, is_gone=present["workflow"] is None)
    for task, (step, many) in steps.items():
        is_here_still = task in engine.app.tasks
        if is_here_still and isinstance(kept, dict) and kept.get(task) not in (None, present["tasks"].get(task)):
            yield explanation.step_changed(task, step, many)


def _steps_by_task(calls: Iterable[Remaining]) -> dict[str, tuple[str, int]]:
    steps: dict[str, tuple[str, int]] = {}
    for call in calls:
        first, many = steps.get(call.task, (call.slug, 0))
        steps[call.task] = first, many + call.steps
    return steps


def _secrets(engine: Engine, policy: WorkflowPolicy, tasks: Collection[str]) -> Iterator[Finding]:
    readings = [reading for task in tasks if (reading := reading_of(engine.app, task))]
    of_code = {name for reading in readings for name in reading.secrets}
    policies = [engine.policies.of_task(task) for task in tasks]
    told = [*policy.notify, *engine.policies.everywhere]
    told += [one for of_task in policies for one in of_task.notify]
    of_people = {one.to.name for one in told if isinstance(one.to, Secret)}
    for name in sorted(of_code | of_people):
        try:
            Secret(name).get()
        except SecretMissing as why:
            yield explanation.secret_missing(name, str(why), is_of_code=name in of_code)


def _stores(engine: Engine, policy: WorkflowPolicy, tasks: Iterable[str]) -> Iterator[Finding]:
    policies = [engine.policies.of_task(task) for task in tasks]
    otherwise = policy.result or engine.results
    stores = {one.result or otherwise for one in policies if one.target and engine.checkpointing}
    for store in sorted(stores, key=lambda one: one.location):
        if why := _unusable(store):
            yield explanation.store_missing(store.location, f"Targets cannot be kept at {store.location}: {why}.")


def _unusable(store: Result) -> str | None:
    """Why a store cannot be used here, as far as that is known without asking it; None when it can."""
    if isinstance(store, RemoteResult):
        try:
            store.check()
        except ResultFault as why:
            return str(why).rstrip(".")
    if isinstance(store, LocalResult):
        folder = Path(store.location)
        lowest = next(one for one in (folder, *folder.parents) if one.exists())
        if not lowest.is_dir() or not os.access(lowest, _WRITING):
            return f"{lowest} is no folder that may be written to"
    return None


def _results(needed: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    for slug, text in needed:
        reference = reference_in(text)
        if reference is None:
            continue
        try:
            store = store_at(reference.store)
            why = _unusable(store)
            if why is None and isinstance(store, LocalResult) and not store.exists(reference.path):
                why = "there is no such file"
        except ResultFault as fault:
            why = str(fault).rstrip(".")
        if why:
            yield explanation.result_missing(f"{reference.store}/{reference.path}", slug, why)


def _unheard(engine: Engine, calls: Iterable[Remaining], workers: Iterable[Listening]) -> Iterator[Finding]:
    now = clock.now()
    alive = [one for one in map(looked_at_worker, workers) if one.lives(now, engine.lease)]
    waiting: dict[str, tuple[str, int]] = {}
    for call in calls:
        queue = engine.publisher.queue_of(call)
        if queue is not None and not any(worker.takes(queue) for worker in alive):
            first, many = waiting.get(queue, (call.slug, 0))
            waiting[queue] = first, many + call.steps
    for queue, (step, many) in sorted(waiting.items()):
        yield explanation.no_worker(queue, step, many)
