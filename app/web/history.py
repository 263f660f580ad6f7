"""What an operation consists of and what happened to it: steps, events, workflow.json."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import cast

from flask import Response, current_app, request
from pydantic import Field

from app.following import Feed
from app.web.answering import answer, page_answer
from app.web.auth import commands, demand_token, requester
from app.web.describing import answering, answering_also, api, problems
from app.web.presenting import event, step
from app.web.reading import reads_request
from app.web.schemas import EventPage, OperationPath, PageQuery, ReadHeader, StepPage
from app.web.streaming import STREAM, StreamHeader, prefers_stream, stream

history = api("history", "Steps, events and the portable document.")
history.before_request(demand_token)


@history.get("/operations/<id:operation_id>/steps", responses={200: StepPage, **problems(404)})
@reads_request
def list_steps(path: OperationPath, query: PageQuery) -> Response:
    """List an operation's steps in topological order."""
    after = -1 if query.after is None else query.after
    found = commands().steps(requester(), path.operation_id, after=after, limit=query.limit + 1)
    present = partial(step, here=f"{request.script_root}/operations/{path.operation_id}")
    return page_answer("steps", found, present, query, lambda one: one.number)


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
    return page_answer("events", found, event, query, lambda one: one.id)


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
