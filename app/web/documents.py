"""What an operation consists of over HTTP: steps, events, results and workflow.json; editing, export and import."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final, cast

from flask import Response, current_app, request
from pydantic import Field

from pausable.service import edit as asked
from pausable.service import transfer
from pausable.service.feed import Feed
from pausable.service.transfer import INLINE

from .answers import Edit, EditPage, Event, EventPage, Operation, Step, StepPage
from .auth import commands, demand_token, requester
from .openapi import OF_A_BODY, answering, answering_also, api, problems
from .requests import body_of, content_of, reads_request
from .responses import answer, expected_version, page_answer, tagged
from .schemas import Asked, CancelRequest, EditQuery, MoveHeader, OperationPath, PageQuery, ReadHeader, Reason
from .stream import STREAM, StreamHeader, prefers_stream, stream

history = api("history", "Steps, events and the portable document.")
history.before_request(demand_token)


@history.get("/operations/<id:operation_id>/steps", responses={200: StepPage, **problems(404)})
@reads_request
def list_steps(path: OperationPath, query: PageQuery) -> Response:
    """List an operation's steps in topological order."""
    after = -1 if query.after is None else query.after
    found = commands().steps(requester(), path.operation_id, after=after, limit=query.limit + 1)
    present = partial(Step.from_row, here=f"{request.script_root}/operations/{path.operation_id}")
    return page_answer(StepPage, found, present, query)


_ALL_TOLD = answering("Of a stream: the operation has ended, and the caller has been told everything")


@history.get(
    "/operations/<id:operation_id>/events",
    description="Asked for `text/event-stream`, it goes on telling until the operation has ended.",
    responses={200: EventPage, 204: _ALL_TOLD, **problems(404)},
)
@reads_request
def list_events(path: OperationPath, query: PageQuery, header: StreamHeader) -> Response:
    """List what happened to an operation: who changed what, from where to where, and why."""
    if prefers_stream():
        return stream(path.operation_id, query.after if header.last_event_id is None else header.last_event_id)
    found = commands().events(requester(), path.operation_id, after=query.after or 0, limit=query.limit + 1)
    return page_answer(EventPage, found, Event.build, query)


answering_also(history, "/operations/{operation_id}/events", STREAM)


class StepPath(OperationPath):
    """Which step of which operation."""

    slug: str = Field(description="The step's slug, as `steps` lists it.")


_LOG = {"description": "Every run in order", "content": {"text/plain": {"schema": {"type": "string"}}}}


@history.get("/operations/<id:operation_id>/steps/<slug>/log", responses={200: _LOG, **problems(404)})
@reads_request
def step_log(path: StepPath) -> Response:
    """Give what the code of a step has logged so far: each run is headed by a line, and keeps 64 KiB at the most."""
    return current_app.response_class(
        _read_apart(commands().step_log(requester(), path.operation_id, path.slug)),
        content_type="text/plain; charset=utf-8",
    )


_KNOWN = answering("The caller has it already", None, "ETag")
_RESULT = {
    "description": "The result as JSON, whole, whatever its size",
    "content": {"application/json": {"schema": {}}},
}


@history.get("/operations/<id:operation_id>/result", responses={200: _RESULT, 304: _KNOWN, **problems(404, 503)})
@reads_request
def operation_result(path: OperationPath, header: ReadHeader) -> Response:
    """Give the result of a COMPLETED operation, whole: an answer that is larger than 64 KiB shows a link to this."""
    return _given(header, *commands().result(requester(), path.operation_id))


@history.get(
    "/operations/<id:operation_id>/steps/<slug>/result", responses={200: _RESULT, 304: _KNOWN, **problems(404, 503)}
)
@reads_request
def step_result(path: StepPath, header: ReadHeader) -> Response:
    """Give the result of a step that has ended with one, whole."""
    return _given(header, *commands().result_of_step(requester(), path.operation_id, path.slug))


def _given(header: ReadHeader, tag: str, parts: Iterator[bytes]) -> Response:
    known = {"ETag": f'"{tag}"'}
    if header.if_none_match is not None and request.if_none_match.contains_weak(tag):
        return current_app.response_class(status=304, headers=known)
    return current_app.response_class(parts, 200, known, content_type="application/json")


_PICTURE = {"description": "The picture", "content": {"image/svg+xml": {"schema": {"type": "string"}}}}


@history.get("/operations/<id:operation_id>/graph.svg", responses={200: _PICTURE, **problems(404, 422)})
@reads_request
def graph(path: OperationPath) -> Response:
    """Draw an operation's steps as they stand, each state by a colour and a mark; what repeats itself is folded.

    Of more than 1,000 boxes or 3,000 lines, neighbouring layers are folded into one box each.
    """
    return current_app.response_class(commands().graph(requester(), path.operation_id), content_type="image/svg+xml")


_DOCUMENT = {
    "description": "The bytes as they were written",
    "content": {"application/json": {"schema": {"type": "object"}}},
}


@history.get("/operations/<id:operation_id>/workflow.json", responses={200: _DOCUMENT, **problems(404, 409)})
@reads_request
def workflow_document(path: OperationPath) -> Response:
    """Give the workflow.json of a paused operation: all that is needed to go on elsewhere."""
    # The tag is that of the file: edits are held against it, and a signature is put on the copy. Whoever gets a newer
    # copy under it, because it is asked for first, is refused an edit that they could have made, and loses nothing.
    tag = commands().show(requester(), path.operation_id).operation.workflow_digest
    return answer(commands().document(requester(), path.operation_id), 200, {"ETag": f'"{tag}"'})


def _read_apart(lines: Iterator[str]) -> Iterator[str]:
    """Read each part where a few read at a time, and keep no connection while the client takes it."""
    feed = cast("Feed", current_app.extensions["feed"])

    def read() -> Iterator[str]:
        while (part := feed.read(lambda: next(lines, None))) is not None:
            yield part

    return read()


editing = api("editing", "Change what remains of a paused operation.")
editing.before_request(demand_token)

#: The media type of a JSON Merge Patch (RFC 7396).
MERGE_PATCH: Final = "application/merge-patch+json"
_EXAMPLE: Final = {"steps": {"render": {"kwargs": {"currency": "USD"}}, "mail": None}}


def _or_null(kind: str, **more: Any) -> dict[str, Any]:
    return {"anyOf": [{"type": kind, **more}, {"type": "null"}]}


_CALL: Final[dict[str, Any]] = {"args": _or_null("array"), "kwargs": _or_null("object"), "skip": _or_null("boolean")}
_PATCH: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "result": {"description": "What the next steps are handed."},
        "steps": {
            "type": "object",
            "description": "Calls by the slugs of their steps; null skips one.",
            "additionalProperties": _or_null("object", properties=_CALL, additionalProperties=False),
        },
    },
    "additionalProperties": False,
    "examples": [_EXAMPLE],
}


@history.patch(
    "/operations/<id:operation_id>/workflow.json",
    description="A JSON Merge Patch on `{result, steps: {slug: {args, kwargs, skip}}}`: what the next steps are "
    "handed, and the calls that remain. `If-Match` takes the ETag of `GET …/workflow.json`. "
    "403: only an admin may, unless EDITS or the workflow lets its owner. 409: it is not PAUSED, or that cannot be "
    "changed.",
    responses={200: Operation, **problems(*OF_A_BODY, 403, 404, 409, 412)},
    request_body={"required": True, "content": {MERGE_PATCH: {"schema": _PATCH}}},
)
@reads_request
def edit_workflow(path: OperationPath, query: EditQuery, header: MoveHeader) -> Response:
    """Edit what remains of a paused operation."""
    digests = None
    if header.if_match is not None and not request.if_match.star_tag:
        digests = request.if_match.as_set()
    patch, root = body_of(MERGE_PATCH), request.script_root
    view, _ = asked.edit(commands(), requester(), path.operation_id, patch, reason=query.reason, digests=digests)
    return tagged(view, Operation.from_view(view, root))


@editing.post(
    "/operations/<id:operation_id>/undo",
    description="403: only an admin may, unless EDITS or the workflow lets its owner. 409: no edit is left, or a step "
    "has started since.",
    responses={200: Operation, **problems(*OF_A_BODY, 403, 404, 409, 412)},
    request_body={
        "required": False,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CancelRequest"}}},
    },
)
@reads_request
def undo_edit(path: OperationPath, header: MoveHeader, body: CancelRequest) -> Response:
    """Take the newest edit of an operation back; asked again, the one before it."""
    version = expected_version(path, header)
    view = asked.undo(commands(), requester(), path.operation_id, reason=body.reason, version=version)
    return tagged(view, Operation.from_view(view, request.script_root))


@editing.get("/operations/<id:operation_id>/edits", responses={200: EditPage, **problems(404)})
@reads_request
def list_edits(path: OperationPath, query: PageQuery) -> Response:
    """List the edits of an operation, each with what it changed, who made it and why, and whether it was taken back."""
    found = asked.edits(commands(), requester(), path.operation_id, after=query.after or 0, limit=query.limit + 1)
    return page_answer(EditPage, found, Edit.from_row, query)


carrying = api("moving", "Operations that go on elsewhere, and those that come from there.")
carrying.before_request(demand_token)

#: The bytes that a document may have here: larger ones come in by the terminal.
LARGEST_DOCUMENT: Final = 64 * 1024 * 1024

_DOCUMENT_BODY: Final = {"application/json": {"schema": {"type": "object"}}}


class ExportRequest(Asked):
    """Where to."""

    to: Reason = Field(None, description="Where it goes on; it is kept in the history.")


class ExportQuery(Asked):
    """How much of the results goes with it."""

    inline: int = Field(
        INLINE, ge=0, le=2**30, description="Bytes of large results to put into the document; others stay references."
    )


class ImportQuery(Asked):
    """What of a document is believed."""

    trust: bool = Field(False, description="An admin answers for a document that no key of this service has signed.")
    lenient: bool = Field(False, description="Skip what it tells of steps that its workflow does not have.")


@carrying.post(
    "/operations/<id:operation_id>/export",
    description="It is not resumed here any more, unless an admin takes it back; `GET …/workflow.json` gives a copy "
    "without that. One that was moved before gives its document again. 409: it is neither PAUSED nor has it ended.",
    responses={
        200: {"description": "The signed document", "content": _DOCUMENT_BODY},
        **problems(*OF_A_BODY, 404, 409, 412),
    },
    request_body={
        "required": False,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ExportRequest"}}},
    },
)
@reads_request
def export_operation(path: OperationPath, query: ExportQuery, body: ExportRequest) -> Response:
    """Move an operation elsewhere: give its workflow.json, and let it go on only there."""
    who = requester()
    return answer(transfer.export_operation(commands(), who, path.operation_id, to=body.to, inline=query.inline))


@carrying.post(
    "/operations/import",
    description="The body is a workflow.json, signed with the DOCUMENT_KEY of this service. The operation is PAUSED, "
    "or has ended, as the document says; 200: that document was imported before, and this is its operation.",
    responses=dict[Any, Any](
        {201: answering("Imported", Operation, "Location", "ETag"), 200: Operation}
        | problems(*OF_A_BODY, 403, 404, 409)
    ),
    request_body={"required": True, "content": _DOCUMENT_BODY},
)
@reads_request
def import_operation(query: ImportQuery) -> Response:
    """Make a paused operation of a workflow.json that comes from elsewhere."""
    content = content_of(LARGEST_DOCUMENT)
    view, is_new = transfer.import_operation(commands(), requester(), content, trust=query.trust, lenient=query.lenient)
    place = {"Location": f"{request.script_root}/operations/{view.operation.id}", "ETag": f'"{view.operation.version}"'}
    return answer(Operation.from_view(view, request.script_root), 201 if is_new else 200, place)
