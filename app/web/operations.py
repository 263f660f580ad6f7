"""Operations: to start one, to list them, to look at one."""

from __future__ import annotations

from functools import partial

from flask import Response, request

from app.web.answering import answer, page_answer, unless_known
from app.web.auth import commands, demand_token, requester
from app.web.describing import OF_A_BODY, answering, api, problems
from app.web.presenting import operation, operation_status, operation_summary
from app.web.reading import reads_request
from app.web.schemas import (
    Operation,
    OperationPage,
    OperationPath,
    OperationsQuery,
    OperationStatus,
    ReadHeader,
    StartHeader,
    StartRequest,
)

operations = api("operations", "Runs of workflows.")
operations.before_request(demand_token)

_KNOWN = answering("The caller has it already", None, "ETag")


@operations.post(
    "/operations",
    description="With the same Idempotency-Key again, nothing is started: the answer is 200 and the first operation.",
    responses={
        200: Operation,
        202: answering("Started", Operation, "Location", "ETag"),
        **problems(*OF_A_BODY, 404),
    },
)
@reads_request
def start_operation(header: StartHeader, body: StartRequest) -> Response:
    """Start an operation, now or at a time to come."""
    key, start_at = header.idempotency_key, body.start_at
    view, is_new = commands().start(requester(), body.workflow, body.arguments, idempotency_key=key, start_at=start_at)
    one, root = view.operation, request.script_root
    place = {"Location": f"{root}/operations/{one.id}", "ETag": f'"{one.version}"'}
    return answer(operation(view, root), 202 if is_new else 200, place)


@operations.get("/operations", responses={200: OperationPage})
@reads_request
def list_operations(query: OperationsQuery) -> Response:
    """List operations, newest first: one's own, or everybody's for an admin."""
    found = commands().list(
        requester(),
        completions=query.completion,
        workflow=query.workflow,
        before_id=query.after,
        limit=query.limit + 1,
    )
    summary = partial(operation_summary, root=request.script_root)
    return page_answer("operations", found, summary, query, lambda one: one.id)


@operations.get("/operations/<id:operation_id>", responses={200: Operation, 304: _KNOWN, **problems(404)})
@reads_request
def show_operation(path: OperationPath, header: ReadHeader) -> Response:
    """Show an operation: where it stands, how far it is, its result or its error."""
    view = commands().show(requester(), path.operation_id)
    return unless_known(view, header.if_none_match, lambda: operation(view, request.script_root))


@operations.get("/operations/<id:operation_id>/status", responses={200: OperationStatus, 304: _KNOWN, **problems(404)})
@reads_request
def show_status(path: OperationPath, header: ReadHeader) -> Response:
    """Tell briefly where an operation stands: the one to ask again and again."""
    view = commands().show(requester(), path.operation_id)
    return unless_known(view, header.if_none_match, lambda: operation_status(view))
