"""Steering: to pause, resume, cancel and retry an operation."""

from __future__ import annotations

from typing import Any, Literal, cast

from flask import Response, current_app, request
from pydantic import Field

from app.commands import View
from app.domain.states import Completion
from app.web.answering import expected_version, tagged
from app.web.auth import commands, demand_token, requester
from app.web.describing import OF_A_BODY, answering, api, problems
from app.web.presenting import operation
from app.web.reading import reads_request
from app.web.schemas import (
    Asked,
    CancelRequest,
    MoveHeader,
    Operation,
    OperationPath,
    PauseQuery,
    PauseRequest,
    ResumeRequest,
    RetryRequest,
)
from app.web.waiting import WaitingRoom


class ResumeQuery(Asked):
    """What whoever resumes it answers for."""

    accept: list[Literal["moved", "code", "environment"]] = Field(
        [],
        description="`moved`: an admin knows that it does not go on where it was moved to, and takes it back. "
        "`code`: the code is another than at the pause. `environment`: secrets or stores are missing where this is "
        "asked, and the workers have them. The history tells who said so. May be given more than once.",
    )


class RetryQuery(Asked):
    """What whoever retries it answers for."""

    accept: Literal["moved"] | None = Field(
        None, description="An admin knows that it is not retried where it was moved to, and takes it back."
    )


steering = api("steering", "Pause, resume, cancel, retry.")
steering.before_request(demand_token)


def _moving(accepted: str) -> dict[Any, Any]:
    return {200: Operation, **_accepting(accepted)}


def _accepting(accepted: str) -> dict[Any, Any]:
    return {202: answering(accepted, Operation, "ETag"), **problems(*OF_A_BODY, 404, 409, 412)}


def _optional_body(model: type) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"required": False, "content": {"application/json": {"schema": reference}}}


@steering.post(
    "/operations/<id:operation_id>/pause",
    description="200: it is PAUSED, or was asked to pause before, or came to its end meanwhile. "
    "With `wait`, the answer comes once it is PAUSED or has ended, and is 202 if neither is so by then.",
    responses=_moving("A pause is requested; `in_flight` names the steps that it waits for"),
    request_body=_optional_body(PauseRequest),
)
@reads_request
def pause_operation(path: OperationPath, query: PauseQuery, header: MoveHeader, body: PauseRequest) -> Response:
    """Pause an operation."""
    version = expected_version(path, header)
    view, is_new = commands().pause(
        requester(),
        path.operation_id,
        reason=body.reason,
        version=version,
        now=body.now,
        accept_unconfirmed=query.accept is not None,
        resume_at=body.resume_at,
    )
    if query.wait and _is_pausing(view):
        view = _after_waiting(path.operation_id, query.wait)
        is_new = True
    return _answer(view, 202 if is_new and _is_pausing(view) else 200)


@steering.post(
    "/operations/<id:operation_id>/resume",
    description="200: it runs already. Before a PAUSED one goes on, what remains of it is held against the code that "
    "is there now: see `preflight`. What differs is refused with 409 and `findings`, unless it is accepted.",
    responses={
        **_moving("It goes on; a pause that had not taken effect yet is withdrawn"),
        **problems(403),
    },
    request_body=_optional_body(ResumeRequest),
)
@reads_request
def resume_operation(path: OperationPath, query: ResumeQuery, header: MoveHeader, body: ResumeRequest) -> Response:
    """Let an operation go on where it stood."""
    accepted = query.accept
    view, is_new = commands().resume(
        requester(),
        path.operation_id,
        reason=body.reason,
        version=expected_version(path, header),
        take_back="moved" in accepted,
        accepted=accepted,
    )
    return _answer(view, 202 if is_new else 200)


@steering.post(
    "/operations/<id:operation_id>/cancel",
    description="200: that was asked before.",
    responses=_moving("A cancel is requested; one that nothing runs of is CANCELLED at once"),
    request_body=_optional_body(CancelRequest),
)
@reads_request
def cancel_operation(path: OperationPath, header: MoveHeader, body: CancelRequest) -> Response:
    """Cancel an operation: it never runs again."""
    version = expected_version(path, header)
    view, is_new = commands().cancel(requester(), path.operation_id, reason=body.reason, version=version)
    return _answer(view, 202 if is_new else 200)


@steering.post(
    "/operations/<id:operation_id>/retry",
    description="Whatever ended well keeps its result, unless it lies behind a step that runs again. "
    "409: it is not FAILED, or no step of it has failed, or parts of it were taken away.",
    responses={**_accepting("It goes on from its failed steps"), **problems(403)},
    request_body=_optional_body(RetryRequest),
)
@reads_request
def retry_operation(path: OperationPath, query: RetryQuery, header: MoveHeader, body: RetryRequest) -> Response:
    """Let a FAILED operation go on from its failed steps."""
    version, take_back = expected_version(path, header), query.accept is not None
    view = commands().retry(requester(), path.operation_id, reason=body.reason, version=version, take_back=take_back)
    return _answer(view, 202)


def _after_waiting(operation_id: int, seconds: float) -> View:
    who, known = requester(), commands()
    room = cast("WaitingRoom", current_app.extensions["waiting_room"])
    room.wait_until(lambda: known.completion(operation_id) is not Completion.REQUESTING_PAUSE, seconds)
    return known.show(who, operation_id)


def _is_pausing(view: View) -> bool:
    return view.operation.completion is Completion.REQUESTING_PAUSE


def _answer(view: View, status: int) -> Response:
    return tagged(view, operation(view, request.script_root), status)
