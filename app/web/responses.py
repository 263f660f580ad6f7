"""Responses: entity tags, links to the next page, compression, and security headers."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from flask import Response, current_app, request

from pausable.errors import VersionPassed
from pausable.service.operations import View

from .answers import Answer, Page
from .auth import commands, requester
from .schemas import BulksQuery, MoveHeader, OperationPath, OperationsQuery, PageQuery

T = TypeVar("T")
Paged = PageQuery | OperationsQuery | BulksQuery

#: Nothing but the service's own files runs, or is shown, in a page of ours; and no other site may frame one.
CONTENT_POLICY: Final = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)


def answer(body: Answer | str | bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response of JSON."""
    text = body.written() if isinstance(body, Answer) else body
    return current_app.response_class(text, status, headers, content_type="application/json")


def tagged(view: View, body: Answer, status: int = 200) -> Response:
    """What is told of an operation, with its version as entity tag, and how far its steps are that tell so."""
    return answer(body, status, {"ETag": f'"{_tag(view)}"'})


def unless_known(view: View, tags: str | None, make: Callable[[], Answer]) -> Response:
    """What is told of an operation, or 304 where the tags of If-None-Match say that the caller has it already."""
    tag = _tag(view)
    if tags is not None and (tags == f'"{tag}"' or request.if_none_match.contains_weak(tag)):
        return current_app.response_class(status=304, headers={"ETag": f'"{tag}"'})
    return tagged(view, make())


def expected_version(path: OperationPath, header: MoveHeader) -> int | None:
    """The version at which the operation must still be when it is moved; none where the caller named no If-Match.

    Raises:
        OperationNotFound: There is none, or it is not the caller's.
        VersionPassed: The operation is at none of the versions that the caller named.
    """
    if header.if_match is None:
        return None
    operation = commands().show(requester(), path.operation_id).operation
    versions = {tag.partition(".")[0] for tag in request.if_match.as_set()}
    if not request.if_match.star_tag and str(operation.version) not in versions:
        raise VersionPassed(operation.id, operation.version)
    return operation.version


def page_answer(page: type[Page], found: Sequence[T], present: Callable[[T], Answer], query: Paged) -> Response:
    """Return one page of a list, with the address of the next one in the header Link too (RFC 8288).

    Args:
        page: The model of the page.
        found: What was found: one more than the page holds, where there is a next one.
        present: Returns the answer that one of them is.
        query: What was asked for.
    """
    items, following = list(map(present, found[: query.limit])), None
    if len(found) > query.limit:
        after = {"after": getattr(items[-1], page.place)}
        following = _next_page(query.model_dump(mode="json", exclude_none=True) | after)
    link = None if following is None else {"Link": f'<{following}>; rel="next"'}
    return answer(page.of(items, following), 200, link)


def _next_page(query: Mapping[str, Any]) -> str:
    """The address of this list with another query."""
    return f"{request.script_root}{request.path}?{urlencode(query, doseq=True)}"


def harden(response: Response) -> Response:
    """Add the headers that keep browsers and caches careful, where an answer has not its own."""
    for name, value in _CAREFUL:
        response.headers.setdefault(name, value)
    return response


_CAREFUL: Final = (
    ("Content-Security-Policy", CONTENT_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "private, no-cache"),
)


def _tag(view: View) -> str:
    """The version; a step that keeps its place changes what is told of the operation, and not the operation."""
    told = [step.done for step in view.in_flight if step.done is not None]
    return f"{view.operation.version}.{sum(told)}" if told else str(view.operation.version)


_TEXTS: Final = frozenset({"text/css", "text/javascript", "application/javascript", "image/svg+xml", "text/html"})
#: Bytes from which it is worth it.
_SMALLEST: Final = 1024


def compress(response: Response) -> None:
    """Compress a file that is a text, for those who take it so; each is compressed once."""
    response.vary.add("Accept-Encoding")
    if response.mimetype not in _TEXTS or not request.accept_encodings["gzip"]:
        return
    file, response.direct_passthrough = response.response, False
    content = response.get_data()
    getattr(file, "close", lambda: None)()  # what it is replaced by closes nothing
    if len(content) >= _SMALLEST:
        response.set_data(_compressed(content))
        response.headers["Content-Encoding"] = "gzip"


@lru_cache(maxsize=64)
def _compressed(content: bytes) -> bytes:
    return gzip.compress(content, compresslevel=9, mtime=0)
