"""Looking at an operation before something is asked of it: why it does not move, and whether it can go on."""

from __future__ import annotations

from flask import Response

from app import inspecting as inspections
from app.web.answering import answer
from app.web.auth import commands, demand_token, requester
from app.web.describing import api, problems
from app.web.inspection_schemas import Explanation, Preflight
from app.web.presenting import explanation, findings
from app.web.reading import reads_request
from app.web.schemas import OperationPath

inspecting = api("inspecting", "Why an operation does not move, and whether it can go on.")
inspecting.before_request(demand_token)


@inspecting.get("/operations/<id:operation_id>/explain", responses={200: Explanation, **problems(404)})
@reads_request
def explain_operation(path: OperationPath) -> Response:
    """Tell why an operation does not move: in sentences, and as the facts that they are made of."""
    found = inspections.explain(commands(), requester(), path.operation_id)
    return answer(explanation(path.operation_id, found))


@inspecting.get("/operations/<id:operation_id>/preflight", responses={200: Preflight, **problems(404)})
@reads_request
def preflight(path: OperationPath) -> Response:
    """Tell what a resume would find, and change nothing: code, calls, secrets, stores, workers."""
    completion, found = inspections.preflight(commands(), requester(), path.operation_id)
    return answer(findings(path.operation_id, completion, found))
