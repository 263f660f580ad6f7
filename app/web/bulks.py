"""Bulks: to pause, resume or cancel many operations, and to watch and stop that."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response, request

from pausable.db.database import Database
from pausable.model.bulk import Verb
from pausable.service import bulks as asking
from pausable.service.bulks import Demand

from .answers import Bulk, BulkPage
from .auth import commands, demand_token, requester
from .openapi import OF_A_BODY, answering, api, problems
from .requests import reads_request
from .responses import answer, page_answer
from .schemas import (
    BulkCancelQuery,
    BulkPath,
    BulkPauseQuery,
    BulkPauseRequest,
    BulkRequest,
    BulkResumeQuery,
    BulksQuery,
    StartHeader,
)

bulks = api("bulks", "Pause, resume or cancel many operations.")
bulks.before_request(demand_token)

_MEANT = (
    "Those are meant that stand so now, one's own, or everybody's for an admin. The workers ask them one after the "
    "other. With the same Idempotency-Key again: 200 and the first bulk."
)


def _asking(body: type) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{body.__name__}"}
    return {
        "description": _MEANT,
        "responses": {
            200: Bulk,
            202: answering("The workers ask them; `Location` tells how far they are", Bulk, "Location"),
            **problems(404, *OF_A_BODY),
        },
        "request_body": {"required": False, "content": {"application/json": {"schema": reference}}},
    }


@bulks.post("/operations/pause", **_asking(BulkPauseRequest))
@reads_request
def pause_operations(query: BulkPauseQuery, header: StartHeader, body: BulkPauseRequest) -> Response:
    """Pause many operations."""
    return _ask(Verb.PAUSE, query, header, body, body.resume_at)


@bulks.post("/operations/resume", **_asking(BulkRequest))
@reads_request
def resume_operations(query: BulkResumeQuery, header: StartHeader, body: BulkRequest) -> Response:
    """Let many operations go on."""
    return _ask(Verb.RESUME, query, header, body)


@bulks.post("/operations/cancel", **_asking(BulkRequest))
@reads_request
def cancel_operations(query: BulkCancelQuery, header: StartHeader, body: BulkRequest) -> Response:
    """Cancel many operations."""
    return _ask(Verb.CANCEL, query, header, body)


@bulks.get("/bulks", responses={200: BulkPage})
@reads_request
def list_bulks(query: BulksQuery) -> Response:
    """List bulks, newest first: one's own, or everybody's for an admin."""
    found = asking.list_(_database(), requester(), before_id=query.after, limit=query.limit + 1)
    return page_answer(BulkPage, found, partial(Bulk.from_row, root=request.script_root), query)


@bulks.get("/bulks/<id:bulk_id>", responses={200: Bulk, **problems(404)})
@reads_request
def show_bulk(path: BulkPath) -> Response:
    """Tell how far a bulk is: how many operations have done as asked, how many have not and why, how many are left."""
    return answer(Bulk.from_row(asking.show(_database(), requester(), path.bulk_id), request.script_root))


@bulks.post("/bulks/<id:bulk_id>/stop", responses={200: Bulk, **problems(404)})
@reads_request
def stop_bulk(path: BulkPath) -> Response:
    """Stop a bulk: no more operations are asked; what was done stays done."""
    return answer(Bulk.from_row(asking.stop(_database(), requester(), path.bulk_id)[0], request.script_root))


def _ask(
    verb: Verb,
    query: BulkPauseQuery | BulkResumeQuery,
    header: StartHeader,
    body: BulkRequest,
    resume_at: float | None = None,
) -> Response:
    per_minute = body.per_minute or query.per_minute
    demand = Demand(verb, query.workflow, query.completion, body.reason, per_minute, resume_at)
    made, is_new = asking.ask(
        _database(), requester(), demand, known=commands().workflows.names, idempotency_key=header.idempotency_key
    )
    root = request.script_root
    return answer(Bulk.from_row(made, root), 202 if is_new else 200, {"Location": f"{root}/bulks/{made.id}"})


def _database() -> Database:
    return commands().engine.database
