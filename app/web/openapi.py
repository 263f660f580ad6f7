"""The description of the API for machines and for people, and the files that pages need."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, cast

from flask import Blueprint, Response, current_app, redirect, request
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.info import Info
from flask_openapi.models.media_type import MediaType
from flask_openapi.models.security_scheme import SecurityScheme
from flask_openapi.openapi import OpenAPI
from pydantic_core import to_json
from werkzeug.wrappers import Response as Redirect

from pausable import __version__

from .answers import Problem
from .problems import MEDIA_TYPE
from .responses import CONTENT_POLICY, answer, compress

INFO: Final = Info(
    title="Pausable operations",
    version=__version__,
    description="Start long operations, watch them, pause them, and resume them where they stood.",
)
SECURITY_SCHEMES: Final[dict[str, SecurityScheme | dict[str, Any]]] = {
    "token": SecurityScheme(type="http", scheme="bearer", description="The token of a user.")
}

#: The problems of a request that has a body.
OF_A_BODY: Final = (400, 413, 415)

_REASONS: Final = {
    400: "The request is malformed",
    401: "A valid token is needed",
    403: "Only an admin may ask for that",
    404: "There is no such thing, or it is not the requester's",
    405: "This address does not know that method",
    409: "The operation cannot do that where it stands",
    412: "The operation has changed since it was read",
    413: "The body is too large",
    415: "The body is of the wrong media type",
    422: "A part of the request cannot be used",
    429: "Too many tokens that open nothing came from this address",
    500: "The service failed",
    503: "The service is not ready, or cannot reach its database just now",
}


def problems(*statuses: int) -> dict[Any, Any]:
    """Return the problems that a route can answer with."""
    return {status: _referring(_REASONS[status], Problem.__name__, MEDIA_TYPE) for status in statuses}


def answering(what: str, schema: type | None = None, *headers: str) -> dict[str, Any]:
    """Return a response whose schema another response of the same route defines."""
    described = {name: {"schema": {"type": "string"}, "description": _HEADERS[name]} for name in headers}
    content = _referring(what, schema.__name__, "application/json") if schema else {"description": what}
    return content | {"headers": described}


def answering_also(blueprint: APIBlueprint, path: str, content: dict[str, Any]) -> None:
    """Document further media types of the responses at a path."""
    blueprint.paths[path].get.responses["200"].content.update(
        {media_type: MediaType.model_validate(described) for media_type, described in content.items()}
    )


def api(name: str, what: str, *, needs_token: bool = True) -> APIBlueprint:
    """Return a blueprint whose routes are documented under a heading of that name."""
    return APIBlueprint(
        name,
        __name__,
        abp_tags=[{"name": name, "description": what}],
        abp_security=[{"token": []}] if needs_token else [],
        abp_responses=problems(401, 405, 422, 429, 500, 503) if needs_token else problems(405, 422, 500),
        operation_id_callback=lambda *, name, path, method: name,  # noqa: ARG005
    )


def _referring(what: str, schema: str, media_type: str) -> dict[str, Any]:
    return {"description": what, "content": {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


_HEADERS: Final = {
    "ETag": "The operation's version, quoted.",
    "Location": "Where the operation is.",
    "Link": 'The next page, with rel="next".',
}


STATIC: Final = Path(__file__).parent / "static"

pages = Blueprint("pages", __name__, static_folder=STATIC, static_url_path="/static")

#: Swagger UI's style sheet contains images as data URLs.
_DOCS_POLICY: Final = f"{CONTENT_POLICY}; img-src 'self' data:"


@pages.after_request
def keep(response: Response) -> Response:
    """Let browsers cache a file whose URL contains its digest, and compress texts."""
    if request.endpoint == "pages.static" and response.status_code == 200:
        if "v" in request.args:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        compress(response)
    return response


@pages.get("/")
def home() -> Redirect:
    """Redirect to the console."""
    return redirect(f"{request.script_root}/console/")


@pages.get("/docs")
def docs() -> Response:
    """Return the page of Swagger UI, served from here."""
    page = (STATIC / "docs.html").read_bytes()
    return current_app.response_class(page, headers={"Content-Security-Policy": _DOCS_POLICY})


@pages.get("/openapi.json")
def openapi() -> Response:
    """Return the OpenAPI document."""
    return answer(to_json(cast("OpenAPI", current_app).api_doc))
