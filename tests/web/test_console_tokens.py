"""One's own tokens in the console: a new one is shown once and kept nowhere, and one that is revoked opens nothing."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import pytest

from pausable.db.users import digest_of, user_of_token
from pausable.service import accounts
from tests.web.visiting import Visitor

if TYPE_CHECKING:
    from pausable.db.users import User
    from tests.web.serving import Served
    from tests.web.visiting import Page


@pytest.fixture
def bob(served: Served) -> Visitor:
    return Visitor.signed_in(served, "bob")


def owner(served: Served, token: str) -> User | None:
    with served.commands.engine.database.glance() as tx:
        return user_of_token(tx, digest_of(token))


def shown(page: Page) -> str:
    """The token that a page shows."""
    found = re.search(r'<input id="new-token"[^>]* value="(pa_[\w-]{43})"', page.html)
    assert found, page.html
    return found[1]


def revocations(page: Page) -> list[str]:
    return [one.action for one in page.forms if one.action.endswith("/revoke")]


def test_a_new_token_is_shown_once_and_opens_the_api(served: Served, bob: Visitor) -> None:
    made = bob.send(bob.get("/console/tokens").form("/tokens"))

    token = shown(made)
    assert made.status == 200
    assert made.answer.headers["Cache-Control"] == "no-store"
    known = owner(served, token)
    assert known is not None
    assert known.name == "bob"
    later = bob.get("/console/tokens")
    assert token not in later.html
    assert f"{token[:8]}…" in later.html
    assert served.app.test_client().get("/operations", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_a_new_token_is_in_no_cookie_no_log_and_no_file(
    served: Served, bob: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        made = bob.send(bob.get("/console/tokens").form("/tokens"))

    token = shown(made)
    assert token not in str(made.answer.headers)
    assert token not in caplog.text
    assert re.search(r"user bob \(\d+\) gave themselves the token \d+", caplog.text)
    assert all(
        token.encode() not in file.read_bytes() for file in served.settings.data_dir.rglob("*") if file.is_file()
    )


def test_a_form_that_is_sent_again_makes_no_other_token(bob: Visitor) -> None:
    form = bob.get("/console/tokens").form("/tokens")
    bob.send(form)

    again = bob.send(form)

    page = bob.follow(again)
    assert "nothing was done" in page.words
    assert "new-token" not in page.html
    assert len(revocations(page)) == 2


@pytest.mark.parametrize("newest", ["", "x", "-1", "9" * 30])
def test_a_form_that_nobody_was_given_makes_none(bob: Visitor, newest: str) -> None:
    form = bob.get("/console/tokens").form("/tokens")

    assert bob.send(form, newest=newest).status == 303

    assert len(revocations(bob.get("/console/tokens"))) == 1


def test_only_one_s_own_valid_tokens_are_listed(served: Served, bob: Visitor) -> None:
    with served.commands.engine.database.write() as tx:
        tx.exec_driver_sql("UPDATE tokens SET prefix = '<b>' || user_id")

    page = bob.get("/console/tokens")

    assert re.findall(r"<code>(&lt;b&gt;\d)…</code>", page.html) == ["&lt;b&gt;2"]
    assert "this session" in page.words


def test_a_revoked_token_opens_nothing(served: Served, bob: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    made = bob.send(bob.get("/console/tokens").form("/tokens"))
    revoking = made.form(revocations(made)[0])

    page = bob.follow(bob.send(revoking))

    assert owner(served, shown(made)) is None
    assert "The token is revoked" in page.words
    assert "revoked their token" in caplog.text
    assert len(revocations(page)) == 1
    assert bob.send(revoking).status == 303


def test_to_revoke_the_token_of_the_session_signs_out(bob: Visitor) -> None:
    page = bob.get("/console/tokens")

    out = bob.send(page.form(revocations(page)[0]))

    assert out.place == "/console/sign-in"
    assert "you are signed out" in bob.follow(out).words
    assert bob.get("/console/tokens").place.startswith("/console/sign-in")


def test_the_tokens_of_others_cannot_be_revoked_not_even_by_an_admin(served: Served, bob: Visitor) -> None:
    own = bob.get("/console/tokens")
    ada = Visitor.signed_in(served, "ada")
    hers = ada.get("/console/tokens")
    form = hers.form(revocations(hers)[0])

    refused = ada.post(revocations(own)[0], form.sends)

    assert refused.status == 404
    assert bob.get("/console/tokens").status == 200


def test_without_its_hidden_token_a_form_does_nothing(bob: Visitor) -> None:
    page = bob.get("/console/tokens")

    for form in (page.form("/tokens"), page.form(revocations(page)[0])):
        refused = bob.send(form, csrf_token="of another site")
        assert (refused.status, refused.place) == (303, "/console/tokens")
    assert len(revocations(bob.get("/console/tokens"))) == 1


def test_who_has_many_tokens_is_given_no_more(bob: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "MOST", 1)

    refused = bob.follow(bob.send(bob.get("/console/tokens").form("/tokens")))

    assert "revoke one that is not used" in refused.words
    assert len(revocations(refused)) == 1
