"""What all pages of the console share: who may see them, signing in and out, errors, and their files."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from flask import Blueprint, Flask, Response, abort, flash, g, redirect, render_template, request, url_for
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as Redirect

from pausable import clock
from pausable.config import Settings
from pausable.db.database import OF_AN_OUTAGE, is_outage
from pausable.errors import DatabaseUnavailable, RequestFailed, TokenRefused, TooManyFailedTokens
from pausable.model.states import Completion, StepState

from ..answers import offered
from ..openapi import STATIC
from . import wording
from .session import PLACE, csrf, demand_session, own_place, set_up_sessions, sign_in, sign_out, where_asked

if TYPE_CHECKING:
    from collections.abc import Callable


def static_url(name: str) -> str:
    """The address of a file under `static`."""
    return url_for("pages.static", filename=name, v=_version(name))


@cache
def _version(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


#: Parts of pages that are kept for others who watch the same.
_KEPT: Final = 256


class Part(NamedTuple):
    """The moving part of a page as the message that brings it: the id by which a browser says that it has it.

    `ids` are the operations in it, and `is_moving` is whether any of them moves by itself.
    """

    place: str
    message: str
    ids: tuple[int, ...]
    is_moving: bool

    @classmethod
    def of(cls, html: str, ids: tuple[int, ...], *, is_moving: bool) -> Part:
        """The part of this HTML; no line of it can begin another field of the message."""
        place = sha256(html.encode()).hexdigest()[:16]
        lines = "".join(f"data: {line}\n" for line in re.split("\r\n|\r|\n", html))
        return cls(place, f"id: {place}\n{lines}\n", ids, is_moving)


class Parts:
    """The parts that were rendered last, for all who watch the same page of the same person."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._kept: OrderedDict[Any, tuple[float, Part]] = OrderedDict()
        self._rendering: dict[Any, threading.Lock] = {}

    def since(self, moment: float, key: Any, render: Callable[[], Part]) -> Part:
        """The part as it was at that moment of the clock or later; what another renders meanwhile is waited for."""
        with self._changing:
            lock = self._rendering.setdefault(key, threading.Lock())
        with lock:
            began, part = self._kept.get(key, (float("-inf"), None))
            if part is None or began < moment:
                began, part = clock.monotonic(), self._rendered(key, render)
                self._keep(key, began, part)
            return part

    def _rendered(self, key: Any, render: Callable[[], Part]) -> Part:
        try:
            return render()
        except BaseException:
            with self._changing:
                if key not in self._kept:
                    self._rendering.pop(key, None)
            raise

    def _keep(self, key: Any, began: float, part: Part) -> None:
        with self._changing:
            self._kept[key] = (began, part)
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                old, _ = self._kept.popitem(last=False)
                self._rendering.pop(old, None)


#: Seconds after which the stream of a page sends a beat when it has sent nothing else.
BEAT_EVERY: Final = 5.0
#: Seconds of silence after which a page treats its connection as lost: two beats and a half.
SILENCE: Final = 2.5 * BEAT_EVERY

console = Blueprint("console", __name__, url_prefix=PLACE, template_folder="../templates")

#: Only what comes from here is shown and run, and nothing that stands in a page: no script, and no style either.
CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
#: The pages that every page leads to, and what they are called.
PAGES: Final = (
    ("console.list_operations", "Operations"),
    ("console.list_workflows", "Start"),
    ("console.show_workers", "Workers"),
    ("console.show_tokens", "Tokens"),
)
#: What is asked for before somebody is signed in.
_OPEN: Final = frozenset({"console.sign_in_page", "console.sign_in_with"})


def make_console(app: Flask, settings: Settings) -> None:
    """Put the console into the application."""
    set_up_sessions(app, settings)
    app.extensions["console_parts"] = Parts()
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.register_blueprint(console)


@console.before_request
def demand() -> Redirect | None:
    """Ask who it is, everywhere but where that is answered."""
    if "\x00" in request.path or b"%00" in request.query_string:
        abort(400, "No address has the sign NUL in it.")  # PostgreSQL takes it in no text
    return None if request.endpoint in _OPEN else demand_session()


@console.after_request
def harden(response: Response) -> Response:
    """Allow pages only what they need, and keep them out of caches that others could read."""
    response.headers["Content-Security-Policy"] = CONTENT_POLICY
    response.headers["Cache-Control"] = "no-store"
    return response


@console.context_processor
def words() -> dict[str, Any]:
    """What every page may say."""
    return {
        "wording": wording,
        "static": static_url,
        "who": g.get("requester"),
        "Completion": Completion,
        "StepState": StepState,
        "pages": PAGES,
        "offered": offered,
        "silence": SILENCE,
    }


@console.get("/")
def home() -> Redirect:
    """Lead to the operations."""
    return redirect(url_for("console.list_operations"))


@console.get("/sign-in")
def sign_in_page() -> str:
    """Show where one signs in."""
    return render_template("console/sign_in.html", next=own_place(request.args.get("next")), fault=None)


@console.post("/sign-in")
def sign_in_with() -> Redirect | tuple[str, int]:
    """Sign in with a token."""
    csrf.protect()
    following = own_place(request.form.get("next"))
    try:
        sign_in(request.form.get("token", "").strip())
    except (TokenRefused, TooManyFailedTokens) as refused:
        fault = str(refused) if isinstance(refused, TooManyFailedTokens) else "This token is unknown or was revoked."
        return render_template("console/sign_in.html", next=following, fault=fault), refused.status
    if "undone" in request.form:
        flash("Your last action before signing in was not carried out: your session had expired.", "bad")
    return redirect(following, 303)


@console.post("/sign-out")
def sign_out_here() -> Redirect:
    """End the session."""
    sign_out()
    flash("You are signed out.", "good")
    return redirect(url_for("console.sign_in_page"), 303)


@console.route("/<path:rest>")
def nothing(rest: str) -> tuple[str, int]:  # noqa: ARG001
    """Say that there is no such page."""
    return _trouble("Page not found", "Check the address.", 404)


@console.errorhandler(CSRFError)
def too_old(_error: CSRFError) -> Redirect:
    """Show the page anew, from which nothing was done: it was of an earlier session."""
    flash("That page belonged to an earlier session, so nothing was done. Please try again.", "bad")
    return redirect(where_asked(), 303)


@console.errorhandler(HTTPException)
def http_trouble(error: HTTPException) -> HTTPException | tuple[str, int]:
    """Show what HTTP refuses as a page."""
    if (error.code or 500) < 400:
        return error
    return _trouble(error.name, str(error.description), error.code or 500)


@console.errorhandler(RequestFailed)
def _refused(error: RequestFailed) -> tuple[str, int]:
    return _trouble(error.title, str(error), error.status)


def _out_of_reach(error: Exception) -> tuple[str, int]:
    if not is_outage(error):
        raise error
    return _refused(DatabaseUnavailable())


for _fault in OF_AN_OUTAGE:
    console.register_error_handler(_fault, _out_of_reach)


def _trouble(title: str, detail: str, status: int) -> tuple[str, int]:
    return render_template("console/trouble.html", title=title, detail=detail), status
