"""What people are shown, as JSON text: rows of the store become the shapes of `schemas`.

Arguments, results and errors are JSON already where they are kept, and are put in as they stand: they are not read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final
from urllib.parse import quote

from app.commands import View
from app.domain.explaining import Cause, Explanation
from app.domain.findings import Finding, in_the_way
from app.domain.moments import utc
from app.domain.states import ENDED, Completion
from app.results.references import shown
from app.secrets import redacted_parts
from app.store.bulks import Bulk
from app.store.edits import Edit
from app.store.events import Event
from app.store.operations import Operation, OperationSummary
from app.store.shown_steps import ShownStep
from app.store.step_queries import Running
from app.web.writing import written
from app.workflows.registry import Workflow

_C = Completion
#: What can be asked of an operation that stands here, and would change it; of others that have ended, nothing.
_OFFERED: Final = {
    _C.SCHEDULED: ("pause", "cancel"),
    _C.IN_PROGRESS: ("pause", "cancel"),
    _C.REQUESTING_PAUSE: ("resume", "cancel"),
    _C.PAUSED: ("resume", "cancel", "export"),
    _C.FAILED: ("retry",),
}


def offered(one: OperationSummary) -> tuple[str, ...]:
    """What can be asked of an operation now; what was moved elsewhere goes on there, unless it is taken back."""
    verbs = _OFFERED.get(one.completion, ())
    return verbs if one.moved_at is None else tuple(verb for verb in verbs if verb not in ("resume", "retry"))


def operation(view: View, root: str) -> str:
    """An operation, whole; `root` is where the service is mounted."""
    one = view.operation
    said = _summary(one, root) | {"in_flight": [_running(step) for step in view.in_flight]}
    return _object(said, arguments=one.arguments, result=_result_of(one, root), error=one.error)


def operation_summary(one: OperationSummary, root: str) -> str:
    """An operation in a list."""
    return _object(_summary(one, root))


def operation_status(view: View) -> str:
    """Where an operation stands."""
    one = view.operation
    said = {
        "id": one.id,
        "completion": one.completion,
        "reason": one.reason,
        "progress": _progress(one),
        "in_flight": [_running(step) for step in view.in_flight],
        "start_at": _time(one.start_at),
        "resume_at": _time(one.resume_at),
    }
    return _object(said)


def step(row: ShownStep, here: str) -> str:
    """One step; `here` is where its operation is."""
    said = {
        "number": row.number,
        "slug": row.slug,
        "task": row.task,
        "state": row.state,
        "pause_point": row.point,
        "runs": row.runs,
        "losses": row.losses,
        "done": row.done,
        "total": row.total,
        "message": row.message,
        "due_at": _time(row.due_at),
        "started_at": _time(row.started_at),
        "finished_at": _time(row.finished_at),
    }
    place = f"{here}/steps/{quote(row.slug, safe='')}/result"
    return _object(said, result=row.result and shown(row.result, place), error=row.error)


def event(one: Event) -> str:
    """One change."""
    said = {"id": one.id, "at": _time(one.at), "who": one.who, "step": one.step}
    return _object(said | {"old": one.old, "new": one.new, "why": one.why})


def explanation(operation_id: int, one: Explanation) -> str:
    """Why an operation does not move."""
    said = {"operation_id": operation_id, "completion": one.completion, "moving": one.is_moving}
    return _object(said | {"summary": one.summary, "causes": list(map(_cause, one.causes))})


def findings(operation_id: int, completion: Completion, found: Iterable[Finding]) -> str:
    """Return what is found before an operation goes on; one that has ended does not, whatever is found.

    Args:
        operation_id: The operation.
        completion: Where it stands.
        found: What is found.

    Returns:
        JSON.
    """
    told = list(found)
    is_ok = completion not in ENDED and not in_the_way(told)
    said = {"operation_id": operation_id, "completion": completion, "ok": is_ok, "findings": list(map(asdict, told))}
    return _object(said)


def _cause(one: Cause) -> dict[str, Any]:
    return asdict(one) | {"since": _time(one.since), "until": _time(one.until)}


def edit(one: Edit) -> str:
    """A change that a person made of what remains."""
    said = {"id": one.id, "at": _time(one.at), "who": one.who, "why": one.why}
    undone = {"undone_at": _time(one.undone_at), "undone_by": one.undone_by}
    return written(said | {"diff": redacted_parts(json.loads(one.diff))} | undone)


def workflow(one: Workflow) -> str:
    """A workflow and what it asks for."""
    said = {"name": one.name, "summary": one.summary, "pause_every": one.pause_every, "parameters": one.schema()}
    return _object(said)


def bulk(one: Bulk, root: str) -> str:
    """The same asked of many operations, and how far that has come."""
    here = f"{root}/bulks/{one.id}"
    links = {"self": here} if one.finished_at else {"self": here, "stop": f"{here}/stop"}
    said = {
        "id": one.id,
        "verb": one.verb,
        "workflow": one.workflow,
        "completion": one.completions,
        "reason": one.reason,
        "resume_at": _time(one.resume_at),
        "per_minute": one.per_minute,
        "state": one.state,
        "total": one.total,
        "done": one.done,
        "refused": one.refused,
        "left": one.left,
        "refusals": [{"reason": reason, **told} for reason, told in json.loads(one.refusals).items()],
        "requester_id": one.requester_id,
        "created_at": _time(one.created_at),
        "finished_at": _time(one.finished_at),
        "stopped_by": one.stopped_by,
        "links": links,
    }
    return written(said)


def page(name: str, items: Iterable[str], following: str | None) -> str:
    """A part of a list, under its name, and where it goes on."""
    return f'{{"{name}":[{",".join(items)}],"next":{written(following)}}}'


def _summary(one: OperationSummary, root: str) -> dict[str, Any]:
    return {
        "id": one.id,
        "workflow": one.workflow,
        "completion": one.completion,
        "reason": one.reason,
        "progress": _progress(one),
        "requester_id": one.requester_id,
        "version": one.version,
        "created_at": _time(one.created_at),
        "started_at": _time(one.started_at),
        "finished_at": _time(one.finished_at),
        "start_at": _time(one.start_at),
        "resume_at": _time(one.resume_at),
        "moved_at": _time(one.moved_at),
        "moved_to": one.moved_to,
        "links": _links(one, f"{root}/operations/{one.id}"),
    }


def _links(one: OperationSummary, here: str) -> dict[str, str]:
    links = {"self": here, "status": f"{here}/status", "steps": f"{here}/steps", "events": f"{here}/events"}
    links |= {"result": f"{here}/result"} if one.completion is _C.COMPLETED else {}
    links |= {verb: f"{here}/{verb}" for verb in offered(one)}
    return links | {"workflow.json": f"{here}/workflow.json"} if one.completion is _C.PAUSED else links


def _progress(one: OperationSummary) -> dict[str, float]:
    done = one.steps_done
    return {"done": done, "total": one.steps_total, "percent": done * 1000 // max(one.steps_total, 1) / 10}


def _running(one: Running) -> dict[str, Any]:
    where = {"host": one.host, "process": one.process, "confirmed": one.is_confirmed}
    return {"step": one.slug, "started_at": _time(one.started_at), "done": one.done, "total": one.total, **where}


def _time(seconds: float | None) -> str | None:
    """A moment as RFC 3339 has it, in UTC, to the millisecond."""
    if seconds is None:
        return None
    return utc(seconds).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _object(said: dict[str, Any], **parts: str | None) -> str:
    """A JSON object of values, and of those that are written as JSON already."""
    rest = "".join(f',"{name}":{text or "null"}' for name, text in parts.items())
    return f"{written(said)[:-1]}{rest}}}"


def _result_of(one: Operation, root: str) -> str | None:
    """The result of an operation; of a value that lies in a store, where to have it."""
    if one.result is None:
        return None
    here, is_paused = f"{root}/operations/{one.id}", one.completion is _C.PAUSED
    is_of_parts = is_paused or one.outcome.startswith("[")
    return shown(one.result, f"{here}/steps" if is_paused else f"{here}/result", is_of_parts=is_of_parts)
