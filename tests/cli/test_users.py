"""`flask users`: people and their tokens, of which only the digests are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pausable.db.users import digest_of, user_of_token

if TYPE_CHECKING:
    from pausable.db.users import User
    from tests.cli.terminal import Terminal


def owner_of(terminal: Terminal, token: str) -> User | None:
    with terminal.served.commands.engine.database.glance() as tx:
        return user_of_token(tx, digest_of(token))


@pytest.mark.parametrize(("options", "role"), [([], "user"), (["--admin"], "admin")])
def test_a_new_user_gets_a_token_alone_on_standard_output(terminal: Terminal, options: list[str], role: str) -> None:
    said = terminal.run("users", "add", "Grace Hopper", *options)

    token = said.stdout.strip()
    owner = owner_of(terminal, token)
    assert owner is not None
    assert (owner.name, owner.role) == ("Grace Hopper", role)
    assert said.stdout == f"{token}\n"
    assert token not in said.stderr


def test_a_token_is_kept_nowhere(terminal: Terminal) -> None:
    token = terminal.says("users", "add", "grace").strip()

    files = [file for file in terminal.served.settings.data_dir.rglob("*") if file.is_file()]
    assert files
    assert all(token.encode() not in file.read_bytes() for file in files)
    assert token not in terminal.says("users", "list")


def test_users_are_listed_with_their_roles(terminal: Terminal) -> None:
    listed = terminal.says("users", "list")

    assert [line.split() for line in listed.splitlines()] == [
        ["id", "name", "role"], ["1", "ada", "admin"], ["2", "bob", "user"], ["3", "eve", "user"]
    ]  # fmt: skip


def test_a_second_token_is_as_good_as_the_first(terminal: Terminal) -> None:
    first = terminal.says("users", "add", "grace").strip()
    second = terminal.says("users", "token", "grace").strip()

    assert first != second
    assert owner_of(terminal, first) == owner_of(terminal, second) is not None


def test_a_revoked_token_opens_nothing(terminal: Terminal) -> None:
    first = terminal.says("users", "add", "grace").strip()
    second = terminal.says("users", "token", "grace").strip()

    assert terminal.says("users", "revoke", "grace", first[:8]) == "Revoked the token of grace.\n"

    assert owner_of(terminal, first) is None
    assert owner_of(terminal, second) is not None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["add", "ada"], "There is a user named ada already."),
        (["add", " ada"], "' ada' cannot be a user's name: use 1 to 64 printable characters, no spaces around them."),
        (["token", "Ada"], "There is no user named Ada: `flask users list` shows those there are."),
        (["revoke", "nobody", "x"], "There is no user named nobody: `flask users list` shows those there are."),
        (["revoke", "ada", "x"], "ada has no valid token of that prefix: a token's prefix is its first characters."),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(terminal: Terminal, words: list[str], sentence: str) -> None:
    assert terminal.refuses("users", *words) == f"Error: {sentence}\n"
