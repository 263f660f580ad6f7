"""Answers: rows as JSON, entity tags, links to the next page, compression, and security headers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

from flask import Response, current_app, request
from pydantic_core import PydanticSerializationError, to_json

from pausable.db.bulks import Bulk
from pausable.db.history import Edit, Event
from pausable.db.operations import Operation, OperationSummary
from pausable.db.steps import Running, ShownStep
from pausable.errors import VersionPassed
from pausable.model.explanation import Cause, Explanation, Finding, in_the_way
from pausable.model.states import ENDED, Completion
from pausable.model.times import utc
from pausable.results.references import shown
from pausable.secrets import redacted_parts
from pausable.service.operations import View
from pausable.workflows.registry import Workflow

from .auth import commands, requester
from .schemas import BulksQuery, MoveHeader, OperationPath, OperationsQuery, PageQuery


def written(value: Any) -> str:
    """Return a value as JSON, whatever its texts hold: half a surrogate has a word in JSON, and no bytes in UTF-8."""
    try:
        return to_json(value).decode()
    except PydanticSerializationError:
        return json.dumps(value, separators=(",", ":"), default=str)


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


T = TypeVar("T")
Paged = PageQuery | OperationsQuery | BulksQuery

#: Nothing but the service's own files runs, or is shown, in a page of ours; and no other site may frame one.
CONTENT_POLICY: Final = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)


def answer(text: str | bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON text as an answer."""
    return current_app.response_class(text, status, headers, content_type="application/json")


def tagged(view: View, text: str, status: int = 200) -> Response:
    """What is told of an operation, with its version as entity tag, and how far its steps are that tell so."""
    return answer(text, status, {"ETag": f'"{_tag(view)}"'})


def unless_known(view: View, tags: str | None, make_text: Callable[[], str]) -> Response:
    """What is told of an operation, or 304 where the tags of If-None-Match say that the caller has it already."""
    tag = _tag(view)
    if tags is not None and (tags == f'"{tag}"' or request.if_none_match.contains_weak(tag)):
        return current_app.response_class(status=304, headers={"ETag": f'"{tag}"'})
    return tagged(view, make_text())


def expected_version(path: OperationPath, header: MoveHeader) -> int | None:
    """The version at which the operation must still be when it is moved; none where the caller named no If-Match.

    Raises:
        OperationNotFound: There is none, or it is not the caller's.
        VersionPassed: The operation is at none of the versions that the caller named.
    """
    if header.if_match is None:
        return None
    operation = commands().show(requester(), path.operation_id).operation
    versions = {tag.partition(".")[0] for tag in request.if_match.as_set()}
    if not request.if_match.star_tag and str(operation.version) not in versions:
        raise VersionPassed(operation.id, operation.version)
    return operation.version


def page_answer(
    name: str, found: Sequence[T], present: Callable[[T], str], query: Paged, place: Callable[[T], int]
) -> Response:
    """One page of a list under its name, with the next one in the header Link too (RFC 8288).

    What was found is one more than the page holds, where there is a next one: it begins behind the `place` of the last.
    """
    shown, following = found[: query.limit], None
    if len(found) > query.limit:
        following = _next_page(query.model_dump(mode="json", exclude_none=True) | {"after": place(shown[-1])})
    link = None if following is None else {"Link": f'<{following}>; rel="next"'}
    return answer(page(name, map(present, shown), following), 200, link)


def _next_page(query: Mapping[str, Any]) -> str:
    """The address of this list with another query."""
    return f"{request.script_root}{request.path}?{urlencode(query, doseq=True)}"


def harden(response: Response) -> Response:
    """Add the headers that keep browsers and caches careful, where an answer has not its own."""
    for name, value in _CAREFUL:
        response.headers.setdefault(name, value)
    return response


_CAREFUL: Final = (
    ("Content-Security-Policy", CONTENT_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "private, no-cache"),
)


def _tag(view: View) -> str:
    """The version; a step that keeps its place changes what is told of the operation, and not the operation."""
    told = [step.done for step in view.in_flight if step.done is not None]
    return f"{view.operation.version}.{sum(told)}" if told else str(view.operation.version)


_TEXTS: Final = frozenset({"text/css", "text/javascript", "application/javascript", "image/svg+xml", "text/html"})
#: Bytes from which it is worth it.
_SMALLEST: Final = 1024


def compress(response: Response) -> None:
    """Compress a file that is a text, for those who take it so; each is compressed once."""
    response.vary.add("Accept-Encoding")
    if response.mimetype not in _TEXTS or not request.accept_encodings["gzip"]:
        return
    file, response.direct_passthrough = response.response, False
    content = response.get_data()
    getattr(file, "close", lambda: None)()  # what it is replaced by closes nothing
    if len(content) >= _SMALLEST:
        response.set_data(_compressed(content))
        response.headers["Content-Encoding"] = "gzip"


@lru_cache(maxsize=64)
def _compressed(content: bytes) -> bytes:
    return gzip.compress(content, compresslevel=9, mtime=0)
