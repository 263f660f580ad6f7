"""Bearer tokens: how one is made, recognised and shown. Who holds which is kept by `app.store.users`."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

from app.errors import TokenInvalid

_RANDOM_BYTES: Final = 32
_PREFIX_LENGTH: Final = 8
#: What an HTTP header can carry in one word: printable ASCII without the space.
_GIVEN: Final = re.compile(r"[!-~]{16,}")


def new_token() -> str:
    """A token that nobody can guess: `pa_` and 43 characters that need no quoting in a URL or a shell."""
    return f"pa_{secrets.token_urlsafe(_RANDOM_BYTES)}"


def checked_token(token: str) -> str:
    """The token as it was given by a person, once it is known to be usable.

    Raises:
        TokenInvalid: It is shorter than 16 characters or not printable ASCII without spaces.
    """
    if not _GIVEN.fullmatch(token):
        raise TokenInvalid
    return token


def digest_of(token: str) -> str:
    """The SHA-256 of a token in hexadecimal: the only form in which it is kept.

    A token is too random to be guessed from its digest, so the digest needs neither salt nor a slow hash.
    """
    return hashlib.sha256(token.encode()).hexdigest()


def prefix_of(token: str) -> str:
    """The first characters of a token, at most a quarter of it: by these people tell one token from another."""
    return token[: min(_PREFIX_LENGTH, len(token) // 4)]
