"""Workflows: what can be started, and what each asks for."""

from __future__ import annotations

from flask import Response

from app.web.answering import answer
from app.web.auth import commands, demand_token
from app.web.describing import api
from app.web.presenting import workflow
from app.web.reading import reads_request
from app.web.schemas import WorkflowList

workflows = api("workflows", "What can be started.")
workflows.before_request(demand_token)


@workflows.get("/workflows", responses={200: WorkflowList})
@reads_request
def list_workflows() -> Response:
    """List the workflows there are, each with the JSON Schema of its arguments."""
    return answer(f'{{"workflows":[{",".join(map(workflow, commands().workflows))}]}}')
