"""The page of one operation: where it stands, what of it runs, its picture, time line, steps and history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flask import Response, current_app, flash, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response as Redirect

from app.domain.findings import in_the_way
from app.domain.numbers import number_in
from app.domain.states import Completion
from app.errors import OperationNotFound, PreflightFailed
from app.inspecting import preflight
from app.overview import EVENTS, STEPS, portrait
from app.web.auth import commands, requester
from app.web.console.acting import act
from app.web.console.drawing import time_line
from app.web.console.pages import console
from app.web.console.session import where_asked
from app.web.problems import KINDS

if TYPE_CHECKING:
    from app.domain.findings import Finding
    from app.store.operations import Operation

#: What the database's own numbers of steps and of events have room for.
_STEP_DIGITS: Final = 9
_EVENT_DIGITS: Final = 18


@console.get("/operations/<id:operation_id>")
def show_operation(operation_id: int) -> str:
    """Show an operation."""
    return render_template("console/operation.html", **shown(operation_id))


def shown(operation_id: int) -> dict[str, Any]:
    """What the page of an operation shows for the address that is asked for."""
    after, before = _number("after", _STEP_DIGITS), _number("before", _EVENT_DIGITS)
    places: dict[str, Any] = {"after": after, "before": before, "findings": request.args.get("findings")}
    found = portrait(commands(), requester(), operation_id, after=after, before=before)
    steps, events = found.steps[:STEPS], found.events[:EVENTS]
    return {
        "found": found,
        "one": found.view.operation,
        "steps": steps,
        "steps_before": steps[0].number > 0 if steps else False,
        "steps_after": steps[-1].number if len(found.steps) > STEPS else None,
        "events": events,
        "events_before": events[-1].id if len(found.events) > EVENTS else None,
        "is_latest": before is None,
        "line": time_line(found),
        "picture": found.picture and Markup(found.picture),  # noqa: S704 - SVG of ours, in which all text is escaped
        "findings": _in_the_way(found.view.operation),
        "stream": url_for("console.stream_operation", operation_id=operation_id, **places, who=requester().id),
        "reach": STEPS,
    }


@console.post("/operations/<id:operation_id>/<any(pause, resume, cancel, retry):verb>")
def steer(operation_id: int, verb: str) -> Redirect:
    """Ask something of an operation, and show it as it stands then; a refusal says why."""
    try:
        act(verb, operation_id)
    except OperationNotFound:
        raise
    except PreflightFailed:
        return redirect(url_for("console.show_operation", operation_id=operation_id, findings=1), 303)
    except tuple(KINDS) as refused:
        flash(_why(refused), "bad")
    return redirect(url_for("console.show_operation", operation_id=operation_id), 303)


@console.post("/choose")
def choose() -> Redirect:
    """Say that no button was pressed: what Enter in a field asks for, where no script has led to the buttons."""
    flash("Nothing was done: press the button of what you want.", "bad")
    return redirect(where_asked(), 303)


@console.get("/operations/<id:operation_id>/steps/<slug>/log")
def show_log(operation_id: int, slug: str) -> Response:
    """Give what a step has logged, as text."""
    lines = commands().step_log(requester(), operation_id, slug)
    return current_app.response_class(lines, content_type="text/plain; charset=utf-8")


@console.get("/operations/<id:operation_id>/result.json")
def show_result(operation_id: int) -> Response:
    """Give the whole result."""
    _, parts = commands().result(requester(), operation_id)
    return current_app.response_class(parts, content_type="application/json")


@console.get("/operations/<id:operation_id>/workflow.json")
def show_document(operation_id: int) -> Response:
    """Give the document of a paused operation."""
    content = commands().document(requester(), operation_id)
    return current_app.response_class(content, content_type="application/json")


@console.get("/operations/<id:operation_id>/graph.svg")
def show_picture(operation_id: int) -> Response:
    """Give the picture, also of an operation that has too many steps for its page."""
    return current_app.response_class(commands().graph(requester(), operation_id), content_type="image/svg+xml")


def _in_the_way(one: Operation) -> list[Finding]:
    """What keeps it from being resumed, for whoever was refused that just now."""
    if "findings" not in request.args or one.completion is not Completion.PAUSED:
        return []
    _, found = preflight(commands(), requester(), one.id)
    return in_the_way(found)


def _number(name: str, digits: int) -> int | None:
    text = request.args.get(name, "")
    number = number_in(text.removeprefix("-"), digits - text.startswith("-"))
    return -number if number is not None and text.startswith("-") else number


def _why(refused: Exception) -> str:
    faults = getattr(refused, "faults", None)
    return f"Nothing was done. {refused}" if not faults else f"Nothing was done. {faults[0]['message']}."
