"""Operations over HTTP: start, list and look at them; pause, resume, cancel and retry them; explain and pre-flight."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from flask import Response, current_app, g, request
from pydantic import Field

from pausable import clock
from pausable.errors import ServiceBusy
from pausable.model.states import Completion
from pausable.service import explain as inspections
from pausable.service.operations import View

from .answers import (
    Explanation,
    Operation,
    OperationPage,
    OperationStatus,
    OperationSummary,
    Preflight,
    Workflow,
    WorkflowList,
)
from .auth import commands, demand_token, requester
from .openapi import OF_A_BODY, answering, api, problems
from .requests import reads_request
from .responses import answer, expected_version, page_answer, tagged, unless_known
from .schemas import (
    Asked,
    CancelRequest,
    MoveHeader,
    OperationPath,
    OperationsQuery,
    PauseQuery,
    PauseRequest,
    ReadHeader,
    ResumeRequest,
    RetryRequest,
    StartHeader,
    StartRequest,
)

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds between two looks, at the least and at the most.
_SHORTEST, _LONGEST = 0.005, 0.1
#: The next look is taken after this part of what has been waited so far: a long wait may end a little late.
_LATENESS: Final = 0.05

#: Seconds that a request waits for a place.
_PATIENCE: Final = 10.0
#: Blueprints whose requests need no place.
_OUTSIDE: Final = frozenset({"health"})


class Entrance:
    """Lets so many requests in at a time, however many threads there are: each may need a connection to the database.

    A stream is through it once its answer has begun.
    """

    def __init__(self, places: int, patience: float = _PATIENCE) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._patience = patience

    def enter(self) -> None:
        """Wait until there is a place; requests for the state of the service need none. Raises ServiceBusy."""
        if "entrance" not in g and request.blueprint not in _OUTSIDE:
            if not self._places.acquire(timeout=self._patience):
                raise ServiceBusy
            g.entrance = self

    def leave(self, _fault: BaseException | None = None) -> None:
        """Give the place back, where one was taken."""
        if g.pop("entrance", None):
            self._places.release()


class WaitingRoom:
    """Room for so many requests at once; each holds a thread of the web server."""

    def __init__(self, places: int) -> None:
        self._places = threading.BoundedSemaphore(places)

    def wait_until(self, is_over: Callable[[], bool], seconds: float) -> None:
        """Return once it is over or the seconds have passed; at once where no place is free."""
        if not self._places.acquire(blocking=False):
            return
        try:
            _look_until(is_over, seconds)
        finally:
            self._places.release()


def _look_until(is_over: Callable[[], bool], seconds: float) -> None:
    begun = clock.monotonic()
    while not is_over() and (waited := clock.monotonic() - begun) < seconds:
        time.sleep(min(seconds - waited, max(_SHORTEST, min(_LONGEST, waited * _LATENESS))))


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
    return answer(Operation.from_view(view, root), 202 if is_new else 200, place)


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
    summary = partial(OperationSummary.from_row, root=request.script_root)
    return page_answer(OperationPage, found, summary, query)


@operations.get("/operations/<id:operation_id>", responses={200: Operation, 304: _KNOWN, **problems(404)})
@reads_request
def show_operation(path: OperationPath, header: ReadHeader) -> Response:
    """Show an operation: where it stands, how far it is, its result or its error."""
    view = commands().show(requester(), path.operation_id)
    return unless_known(view, header.if_none_match, lambda: Operation.from_view(view, request.script_root))


@operations.get("/operations/<id:operation_id>/status", responses={200: OperationStatus, 304: _KNOWN, **problems(404)})
@reads_request
def show_status(path: OperationPath, header: ReadHeader) -> Response:
    """Tell briefly where an operation stands: the one to ask again and again."""
    view = commands().show(requester(), path.operation_id)
    return unless_known(view, header.if_none_match, lambda: OperationStatus.from_view(view))


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
    return tagged(view, Operation.from_view(view, request.script_root), status)


workflows = api("workflows", "What can be started.")
workflows.before_request(demand_token)


@workflows.get("/workflows", responses={200: WorkflowList})
@reads_request
def list_workflows() -> Response:
    """List the workflows there are, each with the JSON Schema of its arguments."""
    return answer(WorkflowList.model_construct(workflows=list(map(Workflow.from_row, commands().workflows))))


inspecting = api("inspecting", "Why an operation does not move, and whether it can go on.")
inspecting.before_request(demand_token)


@inspecting.get("/operations/<id:operation_id>/explain", responses={200: Explanation, **problems(404)})
@reads_request
def explain_operation(path: OperationPath) -> Response:
    """Tell why an operation does not move: in sentences, and as the facts that they are made of."""
    found = inspections.explain(commands(), requester(), path.operation_id)
    return answer(Explanation.from_row(path.operation_id, found))


@inspecting.get("/operations/<id:operation_id>/preflight", responses={200: Preflight, **problems(404)})
@reads_request
def preflight(path: OperationPath) -> Response:
    """Tell what a resume would find, and change nothing: code, calls, secrets, stores, workers."""
    completion, found = inspections.preflight(commands(), requester(), path.operation_id)
    return answer(Preflight.from_findings(path.operation_id, completion, found))
