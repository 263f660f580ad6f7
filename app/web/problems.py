"""Every error as RFC 9457 problem+json.

The classes of `pausable.errors` say which status, type and title they have; the table here has those of HTTP itself.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from flask import current_app, request
from werkzeug.exceptions import HTTPException

from pausable import errors
from pausable.db.database import OF_AN_OUTAGE, describe_outage, is_outage
from pausable.texts import cut

from .answers import written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flask import Flask, Response

_log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
#: What a problem's `type` begins with; the slug of its kind follows.
TYPE_PREFIX: Final = "urn:operations:problem:"


class Kind(NamedTuple):
    """What all problems of one type share, where no class of `pausable.errors` says it."""

    status: int
    slug: str
    title: str


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
#: Facts that an error carries and its problem shows, under the same names.
_FACTS: Final = ("operation_id", "completion", "version", "near", "checks")


def register_problems(app: Flask) -> None:
    """Make the application answer every error with a problem."""
    app.register_error_handler(errors.RequestFailed, problem_of)
    app.register_error_handler(HTTPException, _problem_of_http)
    for error in OF_AN_OUTAGE:
        app.register_error_handler(error, _problem_of_database)


def problem_of(error: errors.RequestFailed) -> Response:
    """Return the answer to an error of ours."""
    answer = _problem(error, str(error), _facts(error))
    if isinstance(error, errors.TokenRefused):
        answer.headers["WWW-Authenticate"] = _challenge(error)
    if hasattr(error, "retry_after"):
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


def _problem_of_database(error: Exception) -> Response:
    """The answer when the database is locked or gone; an error of another kind is a failure of the service."""
    if not is_outage(error):
        raise error
    _log.warning("the database cannot be reached (%s)", type(error).__name__)
    return problem_of(errors.DatabaseUnavailable(why=describe_outage(error)))


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


def _problem(kind: Kind | errors.RequestFailed, detail: str, facts: Mapping[str, Any]) -> Response:
    said = {"type": TYPE_PREFIX + kind.slug, "title": kind.title, "status": kind.status, "detail": cut(detail)}
    return current_app.response_class(written({**said, **facts}), kind.status, content_type=MEDIA_TYPE)


def _facts(error: errors.RequestFailed) -> dict[str, Any]:
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
