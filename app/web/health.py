"""Whether the service is alive, and whether it is ready; without a token."""

from __future__ import annotations

from typing import cast

from flask import Response, current_app
from pydantic_core import to_json

from app.errors import NotReady
from app.web import schemas
from app.web.answering import answer
from app.web.describing import api, problems
from app.web.readiness import Readiness

health = api("health", "For those who watch over the service; without a token.", needs_token=False)


@health.get("/healthz", responses={200: schemas.Health})
def healthz() -> Response:
    """Tell that the web server answers; nothing else is looked at."""
    return answer('{"status":"alive"}')


@health.get("/readyz", responses={200: schemas.Readiness, **problems(503)})
def readyz() -> Response:
    """Tell of database, migrations, disk, broker and workers whether each is there."""
    checks = cast("Readiness", current_app.extensions["readiness"]).checks()
    if not all(check["ok"] for check in checks.values()):
        raise NotReady(checks)
    return answer(to_json({"status": "ready", "checks": checks}))
