"""Who is signed in to the console: a signed cookie that names a token by its number, and holds none.

The cookie is read and written under `/console` alone; the API does not know it. A session ends when its token is
revoked, when somebody signs out, and after half a day in which nothing was asked.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from flask import current_app, g, redirect, request, session, url_for
from flask.sessions import SecureCookieSessionInterface
from flask_wtf.csrf import CSRFProtect

from pausable import clock
from pausable.db.files import load_or_create_secret
from pausable.db.users import digest_of, end_session, token_id, user_of_session

from ..auth import commands, user_of

if TYPE_CHECKING:
    from flask import Flask, Request
    from flask.sessions import SecureCookieSession, SessionMixin
    from werkzeug.wrappers import Response

    from pausable.config import Settings

#: Where the console lives; its cookie goes nowhere else.
PLACE: Final = "/console"
COOKIE: Final = "operations-console"
_LASTS: Final = timedelta(hours=12)
_KEY_FILE: Final = "session-key"

csrf = CSRFProtect()


class ConsoleSessions(SecureCookieSessionInterface):
    """Flask's signed cookies, for the console alone; the key is looked for when the first page is asked for."""

    def __init__(self, make_key: Callable[[], str]) -> None:
        self._make_key = make_key

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The session of a page of the console; any other address has none."""
        if not request.path.startswith(f"{PLACE}/"):
            return None
        app.secret_key = app.secret_key or self._make_key()
        return super().open_session(app, request)

    def should_set_cookie(self, app: Flask, session: SessionMixin) -> bool:
        """Whether the session lasts longer for this request: not for one that no person has made."""
        return session.modified or (not is_asked_by_script() and super().should_set_cookie(app, session))

    def get_cookie_path(self, _app: Flask) -> str:
        """The console's own place, behind whatever the service is mounted under."""
        return f"{request.script_root}{PLACE}"

    def get_cookie_secure(self, _app: Flask) -> bool:
        """Whether the browser came by HTTPS: then the cookie travels no other way."""
        return request.is_secure


def set_up_sessions(app: Flask, settings: Settings) -> None:
    """Give the application its sessions, and what keeps forms of other sites out."""
    app.session_interface = ConsoleSessions(lambda: _key(settings))
    app.config |= {
        "SESSION_COOKIE_NAME": COOKIE,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "PERMANENT_SESSION_LIFETIME": _LASTS,
        "WTF_CSRF_CHECK_DEFAULT": False,
        "WTF_CSRF_TIME_LIMIT": None,  # it lasts as long as the session
        "WTF_CSRF_SSL_STRICT": False,  # pages tell nobody, and so not us, where they were called from
    }
    csrf.init_app(app)


def sign_in(token: str) -> None:
    """Begin a session with a token. Raises TokenRefused, TooManyFailedTokens."""
    user_of(token)
    with commands().engine.database.glance() as tx:
        known = token_id(tx, digest_of(token))
    session.clear()  # whatever somebody may have planted before
    session["token"], session["name"], session.permanent = known, secrets.token_urlsafe(12), True


def sign_out() -> None:
    """End the session, also for whoever has kept its cookie, and for what still answers a page of it."""
    now = clock.now()
    with commands().engine.database.write() as tx:
        end_session(tx, session["name"], now, now - 2 * _LASTS.total_seconds())
    session.clear()


def demand_session() -> Response | None:
    """Let a request pass that belongs to somebody signed in, and remember whom; else lead to where one signs in."""
    known, name = session.get("token"), session.get("name")
    with commands().engine.database.glance() as tx:
        user = user_of_session(tx, known, name) if isinstance(known, int) and isinstance(name, str) else None
    if user is None:
        return _to_sign_in()
    g.requester = user
    if request.method == "POST":
        csrf.protect()
    return None


def own_place(address: str | None) -> str:
    """The address, where it is one of the console's own; else where the console begins."""
    home = url_for("console.home")
    asked = (address or "").replace("\\", "/")  # as browsers take it
    path = asked.partition("#")[0].partition("?")[0]
    mine = asked.startswith(home) and asked.isprintable() and ".." not in unquote(path).split("/")
    return asked if mine else home


def where_asked() -> str:
    """The page whose form was sent, as the form says; else the one above the address that it was sent to."""
    above = f"{request.script_root}{request.path}".rpartition("/")[0]
    return own_place(request.form.get("next") or above)


def is_asked_by_script() -> bool:
    """Whether a page that is open asks, to renew a part of itself."""
    return request.headers.get("HX-Request") == "true" or "text/event-stream" in request.headers.get("Accept", "")


def _to_sign_in() -> Response:
    # A cookie that is too old, or signed by another key, opens as if it were empty.
    is_over = "token" in session or (COOKIE in request.cookies and not session)
    if is_asked_by_script():  # the page is loaded again then: it still has to know that there was a session
        return current_app.response_class("Sign in again.", 401, content_type="text/plain")
    session.pop("token", None)
    is_form = request.method == "POST"
    is_undone = is_form and request.endpoint != "console.sign_out_here"  # that has come true by itself
    here = where_asked() if is_form else f"{request.script_root}{request.full_path.rstrip('?')}"
    expired, undone = ("1" if fact else None for fact in (is_over, is_undone))
    return redirect(url_for("console.sign_in_page", next=here, expired=expired, undone=undone), 303)


def _key(settings: Settings) -> str:
    if settings.session_key:
        return settings.session_key.get_secret_value()
    return load_or_create_secret(settings.data_dir / _KEY_FILE, lambda: secrets.token_urlsafe(48))
