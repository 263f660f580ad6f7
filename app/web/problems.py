"""Every error as RFC 9457 problem+json: one table says which status, type and title each has."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from flask import current_app, request
from werkzeug.exceptions import HTTPException

from pausable import errors
from pausable.db.database import OF_AN_OUTAGE, is_outage, words_of_outage
from pausable.texts import cut

from .responses import written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flask import Flask, Response

_log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
#: What a problem's `type` begins with; the slug of its kind follows.
TYPE_PREFIX: Final = "urn:operations:problem:"


class Kind(NamedTuple):
    """What all problems of one type share."""

    status: int
    slug: str
    title: str


#: The kind of every error that a request can run into; subclasses share it.
KINDS: Final[Mapping[type[Exception], Kind]] = {
    errors.TokenRefused: Kind(401, "token-refused", "A valid token is needed"),
    errors.TooManyFailedTokens: Kind(429, "too-many-failed-tokens", "Too many tokens opened nothing"),
    errors.OperationNotFound: Kind(404, "operation-not-found", "There is no such operation"),
    errors.ResultMissing: Kind(404, "result-missing", "There is no result yet"),
    errors.ResultGone: Kind(503, "result-unreadable", "The result cannot be read where it is kept"),
    errors.StepNotFound: Kind(404, "step-not-found", "The operation has no such step"),
    errors.WorkflowUnknown: Kind(404, "workflow-unknown", "There is no such workflow"),
    errors.BodyMalformed: Kind(400, "body-malformed", "The body is not the JSON that is expected"),
    errors.RequestInvalid: Kind(422, "request-invalid", "A part of the request cannot be used"),
    errors.ArgumentsInvalid: Kind(422, "arguments-invalid", "The arguments do not fit the workflow"),
    errors.CanvasRefused: Kind(422, "canvas-refused", "The workflow cannot be run with these arguments"),
    errors.IdempotencyKeyReused: Kind(422, "idempotency-key-reused", "The idempotency key belongs to another request"),
    errors.PatchMalformed: Kind(422, "patch-malformed", "The patch is none of what can be edited"),
    errors.EditRefused: Kind(409, "edit-refused", "That cannot be changed of the operation"),
    errors.NothingToUndo: Kind(409, "nothing-to-undo", "No edit is left to be taken back"),
    errors.UndoTooLate: Kind(409, "undo-too-late", "The operation has gone on since it was edited"),
    errors.BulkNotFound: Kind(404, "bulk-not-found", "There is no such bulk"),
    errors.BulkRefused: Kind(422, "bulk-refused", "That cannot be asked of many operations"),
    errors.MoveRefused: Kind(409, "move-refused", "The operation cannot do that where it stands"),
    errors.NothingToRetry: Kind(409, "nothing-to-retry", "No step of the operation has failed"),
    errors.PictureTooLarge: Kind(422, "picture-too-large", "The operation has too many steps to be drawn"),
    errors.OperationThinned: Kind(409, "operation-thinned", "Parts of the operation were taken away"),
    errors.PreflightFailed: Kind(409, "preflight-failed", "The operation would not go on as it was paused"),
    errors.DocumentUnusable: Kind(409, "document-unusable", "The workflow.json is missing or altered"),
    errors.DocumentNotWritten: Kind(409, "document-not-written", "The operation has no workflow.json now"),
    errors.DocumentOlder: Kind(409, "document-older", "The workflow.json is of an older slice"),
    errors.OperationAtWork: Kind(409, "operation-at-work", "The operation that the workflow.json is of goes on here"),
    errors.OperationMoved: Kind(409, "operation-moved", "The operation was moved elsewhere"),
    errors.DocumentUntrusted: Kind(403, "document-untrusted", "The workflow.json is not signed by this service"),
    errors.TrustNeedsAdmin: Kind(403, "admin-needed", "Only an admin may ask for that"),
    errors.DocumentMalformed: Kind(422, "document-malformed", "The workflow.json cannot be used"),
    errors.TasksUnregistered: Kind(422, "tasks-unregistered", "The workflow.json names tasks that are not here"),
    errors.SlugsUnfit: Kind(422, "slugs-unfit", "The workflow.json names steps that the workflow does not have"),
    errors.ResultsUnreachable: Kind(422, "results-unreachable", "Results that the rest needs cannot be read here"),
    errors.ResultUnwritable: Kind(503, "store-unavailable", "The store of results cannot be written just now"),
    errors.VersionPassed: Kind(412, "version-passed", "The operation has changed since it was read"),
    errors.DatabaseUnavailable: Kind(503, "database-unavailable", "The database cannot be reached just now"),
    errors.TooManyWatchers: Kind(503, "too-many-watchers", "No more streams can be opened just now"),
    errors.ServiceBusy: Kind(503, "service-busy", "The service is busy just now"),
    errors.NotReady: Kind(503, "not-ready", "The service is not ready"),
}
#: The kinds that HTTP itself brings up, by status.
HTTP_KINDS: Final[Mapping[int, Kind]] = {
    kind.status: kind
    for kind in (
        Kind(400, "request-malformed", "The request is malformed"),
        Kind(404, "address-unknown", "There is nothing at this address"),
        Kind(405, "method-not-allowed", "This address does not know that method"),
        Kind(413, "body-too-large", "The body is too large"),
        Kind(415, "media-type-unsupported", "The body is of the wrong media type"),
        Kind(500, "failure", "The service failed"),
    )
}
_DETAILS: Final[Mapping[int, Callable[[], str]]] = {
    404: lambda: f"There is nothing at {request.path}; /docs shows what there is.",
    405: lambda: f"{request.path} cannot be asked with {request.method}; the header Allow names what it can.",
    413: lambda: f"A body may have {request.max_content_length or 0:,} bytes at the most.",
    500: lambda: "Something went wrong that should not; the service's log tells what.",
}
#: Errors whose answers say when to try again.
_TEMPORARY: Final = (
    errors.TooManyFailedTokens,
    errors.TooManyWatchers,
    errors.ServiceBusy,
    errors.DatabaseUnavailable,
)
#: Facts that an error carries and its problem shows, under the same names.
_FACTS: Final = ("operation_id", "completion", "version", "near", "checks")


def register_problems(app: Flask) -> None:
    """Make the application answer every error with a problem."""
    for error in KINDS:
        app.register_error_handler(error, problem_of)
    app.register_error_handler(HTTPException, _problem_of_http)
    for error in OF_AN_OUTAGE:
        app.register_error_handler(error, _problem_of_database)


def problem_of(error: Exception) -> Response:
    """The answer to an error of ours."""
    kind = next(KINDS[known] for known in type(error).__mro__ if known in KINDS)
    answer = _problem(kind, str(error), _facts(error))
    if isinstance(error, errors.TokenRefused):
        answer.headers["WWW-Authenticate"] = _challenge(error)
    if isinstance(error, _TEMPORARY):
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


def _problem_of_database(error: Exception) -> Response:
    """The answer when the database is locked or gone; an error of another kind is a failure of the service."""
    if not is_outage(error):
        raise error
    _log.warning("the database cannot be reached (%s)", type(error).__name__)
    return problem_of(errors.DatabaseUnavailable(why=words_of_outage(error)))


def _problem_of_http(error: HTTPException) -> Response | HTTPException:
    """The answer to an error of HTTP, with the headers that belong to it, such as Allow."""
    status = error.code or 500
    if status < 400:  # a redirect
        return error
    detail = _DETAILS[status]() if status in _DETAILS else str(error.description)
    kind = HTTP_KINDS.get(status) or Kind(status, "refused", error.name)
    answer = _problem(kind, detail, {})
    answer.headers.extend([(name, value) for name, value in error.get_headers() if name != "Content-Type"])
    return answer


def _problem(kind: Kind, detail: str, facts: Mapping[str, Any]) -> Response:
    said = {"type": TYPE_PREFIX + kind.slug, "title": kind.title, "status": kind.status, "detail": cut(detail)}
    return current_app.response_class(written({**said, **facts}), kind.status, content_type=MEDIA_TYPE)


def _facts(error: Exception) -> dict[str, Any]:
    facts = {name: getattr(error, name) for name in _FACTS if hasattr(error, name)}
    if isinstance(error, errors.ArgumentsInvalid):
        facts["errors"] = [{"in": "body", **fault, "field": f"arguments.{fault['field']}"} for fault in error.faults]
    if isinstance(error, errors.PreflightFailed):
        facts["findings"] = list(map(asdict, error.findings))
    if isinstance(error, errors.RequestInvalid):
        facts["errors"] = error.faults
    return facts


def _challenge(error: errors.TokenRefused) -> str:
    """What RFC 6750 has a server say: only a request that did bring a token is told that it was wrong."""
    return 'Bearer realm="operations"' + (', error="invalid_token"' if error.is_given else "")
