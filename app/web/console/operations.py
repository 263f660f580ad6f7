"""The pages of operations: the list, one operation, and what their buttons do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from flask import Response, abort, current_app, flash, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response as Redirect

from pausable import clock
from pausable.db.views import SEARCHED, Search
from pausable.errors import MomentTooFar, MoveRefused, OperationNotFound, PreflightFailed, RequestFailed, RequestInvalid
from pausable.model.explanation import in_the_way
from pausable.model.states import Completion
from pausable.model.times import moment_of
from pausable.service.explain import preflight
from pausable.service.pages import EVENTS, STEPS, Listed, operations_of, portrait
from pausable.texts import number_in

from ..answers import offered
from ..auth import commands, requester
from .charts import time_line
from .pages import console
from .session import own_place, where_asked

if TYPE_CHECKING:
    from pausable.db.operations import Operation
    from pausable.model.explanation import Finding

#: Characters of a reason; as many as the API takes.
_LONGEST_REASON: Final = 1000
_ACCEPTED: Final = frozenset({"code", "environment", "moved"})


def act(verb: str, operation_id: int) -> None:
    """Ask that of an operation. Raises what the command raises, and RequestInvalid for a form that cannot be read."""
    VERBS[verb](operation_id)


def _pause(operation_id: int) -> None:
    form = request.form
    commands().pause(
        requester(),
        operation_id,
        reason=_reason(),
        now="now" in form,
        accept_unconfirmed="unconfirmed" in form,
        resume_at=moment_in("resume_at") if "resume_at" in form else _until_now_meant(operation_id),
    )


def _until_now_meant(operation_id: int) -> float | None:
    """When it would go on by itself as it stands: a button that asks for no time takes none away."""
    return commands().show(requester(), operation_id).operation.resume_at


def _resume(operation_id: int) -> None:
    accepted = _ACCEPTED & set(request.form.getlist("accept"))
    commands().resume(
        requester(), operation_id, reason=_reason(), take_back="moved" in accepted, accepted=tuple(accepted)
    )


def _cancel(operation_id: int) -> None:
    commands().cancel(requester(), operation_id, reason=_reason())


def _retry(operation_id: int) -> None:
    take_back = "moved" in request.form.getlist("accept")
    commands().retry(requester(), operation_id, reason=_reason(), take_back=take_back)


#: What can be asked of an operation, in the order of the buttons.
VERBS: Final[Mapping[str, Callable[[int], Any]]] = {
    "pause": _pause,
    "resume": _resume,
    "retry": _retry,
    "cancel": _cancel,
}


def _reason() -> str | None:
    # PostgreSQL takes NUL in no text.
    return request.form.get("reason", "").replace("\x00", "").strip()[:_LONGEST_REASON] or None


def moment_in(field: str) -> float | None:
    """The moment that a field of date and time says, in UTC where it says no offset; None where it is empty.

    Raises RequestInvalid for what is no moment, and for one that is past or too far ahead.
    """
    text, now = request.form.get(field, "").strip(), clock.now()
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        seconds = moment_of(text if at.tzinfo else at.replace(tzinfo=UTC).isoformat(), now)
    except MomentTooFar:
        raise _fault(field, "It lies more than ten years ahead") from None
    except ValueError:
        raise _fault(field, "It is no date and time, such as 2030-01-31T08:00") from None
    if seconds <= now:
        raise _fault(field, "It is past already")
    return seconds


def _fault(field: str, message: str) -> RequestInvalid:
    return RequestInvalid([{"in": "body", "field": field, "message": message}])


#: Operations on a page.
LISTED: Final = 50
#: Characters of a search.
_LONGEST: Final = 200
#: What was asked of a selection and has become of it, in words.
_DONE: Final = {"pause": "asked to pause", "resume": "resumed", "cancel": "cancelled", "retry": "retried"}


@console.get("/operations")
def list_operations() -> str:
    """Show the operations that are asked for, the newest first."""
    return render_template("console/operations.html", **listed())


def listed() -> dict[str, Any]:
    """What the page of operations shows for the address that is asked for."""
    asked = asked_for()
    found = operations_of(commands(), requester(), asked, LISTED)
    return {
        "found": found,
        "asked": asked,
        "more": _address(asked, found.following) if found.following else None,
        "searched": SEARCHED,
        "workflows": sorted(one.name for one in commands().workflows),
        "is_admin": requester().is_admin,
        "acts": _acts(found),
        "first": _address(replace(asked, before_id=None), None),
        "stream": _address(asked, asked.before_id, "console.stream_operations", who=requester().id),
    }


@console.post("/operations/<any(pause, resume, cancel, retry):verb>")
def steer_selected(verb: str) -> Redirect:
    """Ask the same of every operation that is selected, one after the other; each says itself what it refuses."""
    ids = [number for one in request.form.getlist("id") if (number := number_in(one)) is not None]
    if not ids:
        flash("Nothing is selected. Select operations first.", "bad")
    done, refused = 0, Counter[str]()
    for operation_id in ids[:LISTED]:
        try:
            act(verb, operation_id)
            done += 1
        except RequestFailed as why:
            refused[_short(why)] += 1
    if done:
        flash(f"{done} {'operation was' if done == 1 else 'operations were'} {_DONE[verb]}.", "good")
    for said, many in refused.most_common(5):
        flash(f"{many} {'operation was' if many == 1 else 'operations were'} skipped: {said}", "bad")
    return redirect(own_place(request.form.get("next")), 303)


@console.post("/operations/<id:operation_id>/row/<any(pause, resume, cancel, retry):verb>")
def steer_one(operation_id: int, verb: str) -> Redirect:
    """Ask something of one operation of the list, and show the list again."""
    try:
        act(verb, operation_id)
    except RequestFailed as why:
        flash(f"Operation {operation_id}: {_short(why)}", "bad")
    # The page is shown where the row is, and not from its top.
    return redirect(f"{own_place(request.form.get('next'))}#operation-{operation_id}", 303)


def asked_for() -> Search:
    """Which operations the address asks for; 404 where it names a completion that there is not."""
    given, completions = request.args, {str(one) for one in Completion}
    wanted = [one for one in given.getlist("completion") if one]
    if not set(wanted) <= completions:
        abort(404, "There is no such completion.")
    return Search(
        requester_id=None,
        completions=tuple(map(Completion, wanted)),
        workflow=given.get("workflow") or None,
        words=given.get("search", "").strip()[:_LONGEST],
        before_id=number_in(given.get("after", "")),
    )


def _address(asked: Search, after: int | None, page: str = "console.list_operations", **more: Any) -> str:
    query: dict[str, Any] = {"completion": list(asked.completions), "workflow": asked.workflow, "after": after}
    return url_for(page, **query, search=asked.words or None, **more)


def _acts(found: Listed) -> list[str]:
    """The verbs that at least one operation of the page can be asked."""
    verbs = {verb for one in found.operations for verb in offered(one)}
    return [verb for verb in VERBS if verb in verbs]


def _short(why: RequestFailed) -> str:
    if isinstance(why, MoveRefused):
        return f"{why.completion} operations cannot do that."
    if isinstance(why, OperationNotFound):
        return "there is no such operation any more."
    return str(why) if isinstance(why, PreflightFailed) else f"{why.title.lower()}."


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
    except RequestFailed as refused:
        flash(_why(refused), "bad")
    return redirect(url_for("console.show_operation", operation_id=operation_id), 303)


@console.post("/choose")
def choose() -> Redirect:
    """Say that no button was pressed: what Enter in a field asks for, where no script has led to the buttons."""
    flash("Nothing was done. Press the button of the action that you want.", "bad")
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
