from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from pausable.db.users import (
    User,
    add_token,
    add_user,
    digest_of,
    is_token_known,
    list_users,
    new_token,
    oldest_user,
    prefix_of,
    revoke_token,
    user_named,
    user_of_token,
)
from pausable.errors import UserExists, UserNameInvalid
from tests.databases import on_sqlite_alone

if TYPE_CHECKING:
    from pausable.db.database import Database

NOW = 1_800_000_000.0


@pytest.fixture
def ada(database: Database) -> User:
    with database.write() as tx:
        return add_user(tx, "ada", "user", NOW)


def test_a_user_is_found_by_name(database: Database, ada: User) -> None:
    with database.read() as tx:
        assert user_named(tx, "ada") == ada
        assert user_named(tx, "Ada") is None


def test_only_an_admin_is_an_admin(database: Database, ada: User) -> None:
    with database.write() as tx:
        grace = add_user(tx, "grace", "admin", NOW)

    assert grace.is_admin
    assert not ada.is_admin


def test_users_are_listed_oldest_first(database: Database, ada: User) -> None:
    with database.write() as tx:
        grace = add_user(tx, "Grace Hopper", "admin", NOW - 1)

    with database.read() as tx:
        assert list_users(tx) == [ada, grace]
        assert oldest_user(tx) == ada


def test_nobody_is_there_first_in_a_new_database(database: Database) -> None:
    with database.read() as tx:
        assert oldest_user(tx) is None


def test_a_name_is_taken_once_and_the_refusal_spoils_no_transaction(database: Database, ada: User) -> None:
    with database.write() as tx:
        with pytest.raises(UserExists, match="ada"):
            add_user(tx, "ada", "admin", NOW)
        grace = add_user(tx, "grace", "user", NOW)

    with database.read() as tx:
        assert list_users(tx) == [ada, grace]


@pytest.mark.parametrize("name", ["", " ada", "ada ", "a\nb", "a\x00b", "\u2028", "x" * 65])
def test_a_name_that_cannot_be_read_aloud_is_refused(database: Database, name: str) -> None:
    with database.write() as tx, pytest.raises(UserNameInvalid):
        add_user(tx, name, "user", NOW)


@pytest.mark.parametrize("name", ["a", "x" * 64, "Zoë Müller", "北斎"])
def test_a_name_may_be_in_any_script(database: Database, name: str) -> None:
    with database.write() as tx:
        assert add_user(tx, name, "user", NOW).name == name


def test_a_token_tells_its_user(database: Database, ada: User) -> None:
    with database.write() as tx:
        add_user(tx, "grace", "admin", NOW)
        add_token(tx, ada.id, "pa_abcde", "digest of ada's", NOW)

    with database.read() as tx:
        assert user_of_token(tx, "digest of ada's") == ada
        assert user_of_token(tx, "another digest") is None


def test_a_user_may_have_several_tokens(database: Database, ada: User) -> None:
    first, second = new_token(), new_token()

    with database.write() as tx:
        for token in (first, second):
            add_token(tx, ada.id, prefix_of(token), digest_of(token), NOW)

    with database.read() as tx:
        assert user_of_token(tx, digest_of(first)) == user_of_token(tx, digest_of(second)) == ada


def test_a_revoked_token_opens_nothing_and_stays_known(database: Database, ada: User) -> None:
    with database.write() as tx:
        add_token(tx, ada.id, "pa_abcde", "digest", NOW)

        revoked = revoke_token(tx, ada.id, "pa_abcde", NOW + 1)

        assert revoked
        assert user_of_token(tx, "digest") is None
        assert is_token_known(tx, "digest")


def test_revoking_leaves_other_tokens_valid(database: Database, ada: User) -> None:
    with database.write() as tx:
        grace = add_user(tx, "grace", "user", NOW)
        add_token(tx, ada.id, "pa_abcde", "ada's other", NOW)
        add_token(tx, grace.id, "pa_fghij", "grace's", NOW)

        assert not revoke_token(tx, ada.id, "pa_fghij", NOW)

        assert user_of_token(tx, "grace's") == grace
        assert user_of_token(tx, "ada's other") == ada


@on_sqlite_alone
def test_a_token_is_looked_up_by_index_alone(database: Database, ada: User) -> None:
    seen: list[str] = []

    with database.read() as tx:
        driver: Any = tx.connection.driver_connection
        driver.set_trace_callback(seen.append)
        user_of_token(tx, "digest")
        driver.set_trace_callback(None)
        plan = tx.execute(text(f"EXPLAIN QUERY PLAN {seen[0]}")).all()

    assert len(seen) == 1
    assert [step.detail.partition(" ")[0] for step in plan] == ["SEARCH", "SEARCH"]
