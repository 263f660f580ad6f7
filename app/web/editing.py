"""Editing: to change what remains of a paused operation, and to take that back."""

from __future__ import annotations

from typing import Any, Final

from flask import Response, request

from app import editing as asked
from app.web.answering import expected_version, page_answer, tagged
from app.web.auth import commands, demand_token, requester
from app.web.describing import OF_A_BODY, api, problems
from app.web.editing_schemas import EditPage, EditQuery
from app.web.history import history
from app.web.presenting import edit, operation
from app.web.reading import body_of, reads_request
from app.web.schemas import CancelRequest, MoveHeader, Operation, OperationPath, PageQuery

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
    return tagged(view, operation(view, root))


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
    return tagged(view, operation(view, request.script_root))


@editing.get("/operations/<id:operation_id>/edits", responses={200: EditPage, **problems(404)})
@reads_request
def list_edits(path: OperationPath, query: PageQuery) -> Response:
    """List the edits of an operation, each with what it changed, who made it and why, and whether it was taken back."""
    found = asked.edits(commands(), requester(), path.operation_id, after=query.after or 0, limit=query.limit + 1)
    return page_answer("edits", found, edit, query, lambda one: one.id)
