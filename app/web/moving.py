"""Moving: operations that leave this service as documents, and those that come to it so."""

from __future__ import annotations

from typing import Any, Final

from flask import Response, request
from pydantic import Field

from app import moving
from app.execution.moving import INLINE
from app.web.answering import answer
from app.web.auth import commands, demand_token, requester
from app.web.describing import OF_A_BODY, answering, api, problems
from app.web.presenting import operation
from app.web.reading import content_of, reads_request
from app.web.schemas import Asked, Operation, OperationPath, Reason

carrying = api("moving", "Operations that go on elsewhere, and those that come from there.")
carrying.before_request(demand_token)

#: The bytes that a document may have here: larger ones come in by the terminal.
LARGEST_DOCUMENT: Final = 64 * 1024 * 1024

_DOCUMENT: Final = {"application/json": {"schema": {"type": "object"}}}


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
        200: {"description": "The signed document", "content": _DOCUMENT},
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
    return answer(moving.export_operation(commands(), who, path.operation_id, to=body.to, inline=query.inline))


@carrying.post(
    "/operations/import",
    description="The body is a workflow.json, signed with the DOCUMENT_KEY of this service. The operation is PAUSED, "
    "or has ended, as the document says; 200: that document was imported before, and this is its operation.",
    responses=dict[Any, Any](
        {201: answering("Imported", Operation, "Location", "ETag"), 200: Operation}
        | problems(*OF_A_BODY, 403, 404, 409)
    ),
    request_body={"required": True, "content": _DOCUMENT},
)
@reads_request
def import_operation(query: ImportQuery) -> Response:
    """Make a paused operation of a workflow.json that comes from elsewhere."""
    content = content_of(LARGEST_DOCUMENT)
    view, is_new = moving.import_operation(commands(), requester(), content, trust=query.trust, lenient=query.lenient)
    place = {"Location": f"{request.script_root}/operations/{view.operation.id}", "ETag": f'"{view.operation.version}"'}
    return answer(operation(view, request.script_root), 201 if is_new else 200, place)
