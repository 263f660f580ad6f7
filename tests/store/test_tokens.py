"""A user's own tokens: listed, given one at a time, and revoked."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from pausable.db.users import User, add_token, add_user
from pausable.errors import TokensChanged
from pausable.service.accounts import give_another, own_tokens, take_away
from tests.deadlines import WAIT

if TYPE_CHECKING:
    from pausable.db.database import Database

NOW = 1_800_000_000.0


@pytest.fixture
def ada(database: Database) -> User:
    with database.write() as tx:
        ada, bob = add_user(tx, "ada", "user", NOW), add_user(tx, "bob", "user", NOW)
        add_token(tx, ada.id, "prefix", "digest", NOW)
        add_token(tx, bob.id, "bob's", "another", NOW)
        return ada


def test_of_many_who_ask_with_the_same_number_one_is_given_a_token(database: Database, ada: User) -> None:
    _, newest = own_tokens(database, ada)
    given: list[str] = []
    refused: list[Exception] = []
    at_once = threading.Barrier(4, timeout=WAIT)

    def ask() -> None:
        at_once.wait()
        try:
            given.append(give_another(database, ada, newest))
        except TokensChanged as why:
            refused.append(why)
        database.close()

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()

    assert (len(given), len(refused)) == (1, 3)
    found, _ = own_tokens(database, ada)
    assert [one.prefix for one in found] == [given[0][:8], "prefix"]


def test_the_number_of_a_revoked_token_still_counts(database: Database, ada: User) -> None:
    _, newest = own_tokens(database, ada)

    assert take_away(database, ada, newest)
    assert take_away(database, ada, newest)
    assert not take_away(database, ada, newest + 1)

    assert own_tokens(database, ada) == ([], newest)
    assert give_another(database, ada, newest).startswith("pa_")
