"""The pages beside the API: its description for machines and for people, and the files that pages need."""

from __future__ import annotations

from pathlib import Path
from typing import Final, cast

from flask import Blueprint, Response, current_app, redirect, request
from flask_openapi.openapi import OpenAPI
from pydantic_core import to_json
from werkzeug.wrappers import Response as Redirect

from app.web.answering import CONTENT_POLICY, answer
from app.web.compression import compress

STATIC: Final = Path(__file__).parent / "static"

pages = Blueprint("pages", __name__, static_folder=STATIC, static_url_path="/static")

#: Swagger UI's style sheet has its arrows written into it as images.
_DOCS_POLICY: Final = f"{CONTENT_POLICY}; img-src 'self' data:"


@pages.after_request
def keep(response: Response) -> Response:
    """Let browsers keep a file whose address names its content, and send texts compressed."""
    if request.endpoint == "pages.static" and response.status_code == 200:
        if "v" in request.args:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        compress(response)
    return response


@pages.get("/")
def home() -> Redirect:
    """Lead to the console."""
    return redirect(f"{request.script_root}/console/")


@pages.get("/docs")
def docs() -> Response:
    """Give the page that shows the API and lets one try it; all it needs comes from here."""
    page = (STATIC / "docs.html").read_bytes()
    return current_app.response_class(page, headers={"Content-Security-Policy": _DOCS_POLICY})


@pages.get("/openapi.json")
def openapi() -> Response:
    """Give the OpenAPI document."""
    return answer(to_json(cast("OpenAPI", current_app).api_doc))
