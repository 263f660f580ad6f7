"""The page of operations: found, counted, and steered one by one or many at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, Final

from flask import abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from app.domain.numbers import number_in
from app.domain.states import Completion
from app.errors import MoveRefused, OperationNotFound, PreflightFailed
from app.overview import Listed, operations_of
from app.store.overview import SEARCHED, Asked
from app.web.auth import commands, requester
from app.web.console.acting import VERBS, act
from app.web.console.pages import console
from app.web.console.session import own_place
from app.web.presenting import offered
from app.web.problems import KINDS

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
        flash("Nothing is selected: mark the operations first.", "bad")
    done, refused = 0, Counter[str]()
    for operation_id in ids[:LISTED]:
        try:
            act(verb, operation_id)
            done += 1
        except tuple(KINDS) as why:
            refused[_short(why)] += 1
    if done:
        flash(f"{done} {'operation was' if done == 1 else 'operations were'} {_DONE[verb]}.", "good")
    for said, many in refused.most_common(5):
        flash(f"{many} {'was' if many == 1 else 'were'} not: {said}", "bad")
    return redirect(own_place(request.form.get("next")), 303)


@console.post("/operations/<id:operation_id>/row/<any(pause, resume, cancel, retry):verb>")
def steer_one(operation_id: int, verb: str) -> Redirect:
    """Ask something of one operation of the list, and show the list again."""
    try:
        act(verb, operation_id)
    except tuple(KINDS) as why:
        flash(f"Operation {operation_id}: {_short(why)}", "bad")
    # The page is shown where the row is, and not from its top.
    return redirect(f"{own_place(request.form.get('next'))}#operation-{operation_id}", 303)


def asked_for() -> Asked:
    """Which operations the address asks for; 404 where it names a completion that there is not."""
    given, completions = request.args, {str(one) for one in Completion}
    wanted = [one for one in given.getlist("completion") if one]
    if not set(wanted) <= completions:
        abort(404, "There is no such completion.")
    return Asked(
        requester_id=None,
        completions=tuple(map(Completion, wanted)),
        workflow=given.get("workflow") or None,
        words=given.get("search", "").strip()[:_LONGEST],
        before_id=number_in(given.get("after", "")),
    )


def _address(asked: Asked, after: int | None, page: str = "console.list_operations", **more: Any) -> str:
    query: dict[str, Any] = {"completion": list(asked.completions), "workflow": asked.workflow, "after": after}
    return url_for(page, **query, search=asked.words or None, **more)


def _acts(found: Listed) -> list[str]:
    """The verbs that at least one operation of the page can be asked."""
    verbs = {verb for one in found.operations for verb in offered(one)}
    return [verb for verb in VERBS if verb in verbs]


def _short(why: Exception) -> str:
    if isinstance(why, MoveRefused):
        return f"what is {why.completion} cannot do that."
    if isinstance(why, OperationNotFound):
        return "there is no such operation any more."
    return str(why) if isinstance(why, PreflightFailed) else f"{KINDS[type(why)].title.lower()}."
