"""The pages that start an operation: the workflows there are, and for each a form of its parameters."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flask import abort, render_template, request, url_for
from werkzeug.utils import redirect
from werkzeug.wrappers import Response as Redirect

from pausable.errors import ArgumentsInvalid, CanvasRefused, IdempotencyKeyReused, RequestInvalid
from pausable.texts import number_in
from pausable.workflows.registry import Workflow

from ..auth import commands, requester
from .forms import Field, fields_of, filled_in, read
from .operations import moment_in
from .pages import console

#: What the names of the parameters begin with in the form, which has others besides.
PREFIX: Final = "arg-"
#: A key of ours: whatever else is sent in its place is no key.
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")


@dataclass(slots=True)
class Form:
    """What the form of a workflow shows: fields, what is typed into them, and what is wrong with that."""

    recipe: Workflow
    fields: tuple[Field, ...]
    texts: Mapping[str, str]
    start_at: str = ""
    key: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    faults: dict[str, str] = field(default_factory=dict)
    start_fault: str = ""
    #: What is wrong with no field of its own.
    troubles: list[str] = field(default_factory=list)
    #: The operation that this form has started already.
    started: int | None = None

    @property
    def as_json(self) -> list[str]:
        """The fields that are typed as JSON."""
        return [one.name for one in self.fields if one.kind == "json"]

    @property
    def wrong(self) -> int:
        """How many things are wrong."""
        return len(self.faults) + len(self.troubles) + bool(self.start_fault)


@console.get("/start")
def list_workflows() -> str:
    """Show what can be started."""
    return render_template("console/workflows.html", workflows=list(commands().workflows))


@console.get("/start/<workflow>")
def start_form(workflow: str) -> str:
    """Show what a workflow asks for; with `from`, filled in with what an earlier operation was started with."""
    recipe = commands().workflows.get(workflow)
    fields, texts = filled_in(recipe.schema(), _earlier(recipe))
    return _shown(Form(recipe, fields, texts))


@console.post("/start/<workflow>")
def start(workflow: str) -> Redirect | tuple[str, int]:
    """Start an operation, and lead to its page; what does not fit is told beside its field."""
    form = _sent(commands().workflows.get(workflow))
    operation_id = _started(form)
    if operation_id is None:
        return _shown(form), 422
    return redirect(url_for("console.show_operation", operation_id=operation_id), 303)


def _shown(form: Form) -> str:
    return render_template("console/start.html", form=form, prefix=PREFIX)


def _earlier(recipe: Workflow) -> dict[str, Any]:
    """The arguments of the operation that the address names, if the requester may see it."""
    if not (text := request.args.get("from", "")):
        return {}
    number = number_in(text)
    if number is None:
        abort(404, "There is no such operation.")
    earlier = commands().show(requester(), number).operation
    if earlier.workflow != recipe.name:
        abort(404, f"Operation {number} is of another workflow: {earlier.workflow}.")
    arguments: dict[str, Any] = json.loads(earlier.arguments)
    return arguments


def _sent(recipe: Workflow) -> Form:
    """The form as it was sent."""
    fields = fields_of(recipe.schema(), request.form.getlist("as-json"))
    texts = {one.name: request.form.get(f"{PREFIX}{one.name}", "") for one in fields}
    form = Form(recipe, fields, texts, request.form.get("start_at", ""))
    if _KEY.fullmatch(given := request.form.get("key", "")):
        form.key = given
    return form


def _started(form: Form) -> int | None:
    """The operation that the form starts, or started when it was sent before; None with what is wrong in the form."""
    values, form.faults = read(form.fields, form.texts)
    try:
        at = moment_in("start_at")
    except RequestInvalid as why:
        form.start_fault, at = why.faults[0]["message"], None
    try:
        if form.wrong:
            form.recipe.validate(values)  # what else is wrong is told at once
            return None
        view, _ = commands().start(requester(), form.recipe.name, values, idempotency_key=form.key, start_at=at)
        return view.operation.id
    except ArgumentsInvalid as why:
        _note(form, why)
    except CanvasRefused as why:
        form.troubles.append(str(why))
    except IdempotencyKeyReused as why:
        form.key, form.started = secrets.token_urlsafe(16), why.operation_id
    return None


def _note(form: Form, why: ArgumentsInvalid) -> None:
    """Put each fault to its field; one that could not even be read keeps its own."""
    unread, named = set(form.faults), {one.name for one in form.fields}
    for fault in why.faults:
        name, _, place = fault["field"].partition(".")
        message = f"At {place}: {fault['message']}" if place else fault["message"]
        if name not in named:
            form.troubles.append(f"{fault['field']}: {fault['message']}")
        elif name not in unread:
            form.faults[name] = f"{form.faults[name]}; {message}" if name in form.faults else message
