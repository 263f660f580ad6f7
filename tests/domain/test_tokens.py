from __future__ import annotations

import re

import pytest

from pausable.db.users import checked_token, digest_of, new_token, prefix_of
from pausable.errors import TokenInvalid


def test_a_new_token_needs_no_quoting_and_is_never_the_same() -> None:
    tokens = {new_token() for _ in range(100)}

    assert len(tokens) == 100
    assert all(re.fullmatch(r"pa_[\w-]{43}", token, re.ASCII) for token in tokens)


def test_a_new_token_is_one_that_could_be_given() -> None:
    token = new_token()

    assert checked_token(token) == token


def test_a_digest_is_the_sha256_in_hexadecimal() -> None:
    assert digest_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("token", "prefix"), [("pa_" + "x" * 43, "pa_xxxxx"), ("abcdefghijklmnop", "abcd"), ("abc", "")]
)
def test_a_prefix_tells_at_most_a_quarter_of_a_token(token: str, prefix: str) -> None:
    assert prefix_of(token) == prefix


@pytest.mark.parametrize("token", ["!" * 16, "a-token.with:signs/and+more~", "x" * 500])
def test_a_long_enough_word_of_ascii_may_be_a_token(token: str) -> None:
    assert checked_token(token) == token


@pytest.mark.parametrize(
    "token", ["", "x" * 15, "sixteen letters+", "x" * 16 + "\n", "tab\tinside-0123456", "schlüssel-0123456789"]
)
def test_what_no_header_could_carry_is_refused_unrepeated(token: str) -> None:
    with pytest.raises(TokenInvalid) as refused:
        checked_token(token)

    assert not token or token not in str(refused.value)
