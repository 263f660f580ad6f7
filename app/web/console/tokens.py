"""The page of one's own tokens: which there are, one more, shown once, and one that is to open nothing more."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as Redirect

from pausable.errors import TokensChanged, TooManyTokens
from pausable.service.accounts import give_another, own_tokens, take_away
from pausable.texts import number_in

from ..auth import commands, requester
from .pages import console
from .session import sign_out


@console.get("/tokens")
def show_tokens() -> str:
    """Show the requester's tokens."""
    return _shown(None)


@console.post("/tokens")
def make_token() -> Redirect | str:
    """Make one more token, and show it in this answer alone; the same form sent again makes no other."""
    newest = number_in(request.form.get("newest", ""))
    try:
        return _shown(give_another(commands().engine.database, requester(), -1 if newest is None else newest))
    except (TokensChanged, TooManyTokens) as refused:
        flash(str(refused), "bad")
    return redirect(url_for("console.show_tokens"), 303)


@console.post("/tokens/<id:number>/revoke")
def revoke_token(number: int) -> Redirect:
    """Make a token worthless; with the one that this session was begun with, the session ends."""
    if not take_away(commands().engine.database, requester(), number):
        abort(404, "You have no such token.")
    if number == session.get("token"):
        sign_out()
        flash("You revoked the token of this session, so you are signed out.", "good")
        return redirect(url_for("console.sign_in_page"), 303)
    flash("The token is revoked.", "good")
    return redirect(url_for("console.show_tokens"), 303)


def _shown(new: str | None) -> str:
    found, newest = own_tokens(commands().engine.database, requester())
    return render_template("console/tokens.html", tokens=found, newest=newest, new=new, used=session.get("token"))
