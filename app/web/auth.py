"""Who is asking: the bearer token of a request, looked up by its digest in one indexed query. It is never logged."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import current_app, g, request

from app.domain.tokens import digest_of
from app.errors import TokenRefused
from app.store.errors import OF_AN_OUTAGE
from app.store.users import user_of_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.commands import Commands
    from app.store.users import User
    from app.web.failed_tokens import FailedTokens


def demand_token() -> None:
    """Let a request pass that brings a valid token, and remember whose it is.

    Raises:
        TokenRefused: It brings none, or one that opens nothing.
        TooManyFailedTokens: Too many that opened nothing came from the same address.
    """
    scheme, _, token = request.environ.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise TokenRefused(is_given=False)
    g.requester, g.digest = user_of(token.strip()), digest_of(token.strip())


def user_of(token: str) -> User:
    """Whose token that is. Raises TokenRefused, TooManyFailedTokens."""
    digest, failed = digest_of(token), cast("FailedTokens", current_app.extensions["failed_tokens"])
    failed.demand_place(request.remote_addr, digest)
    with commands().engine.database.glance() as tx:
        user = user_of_token(tx, digest)
    if user is None:
        failed.note_failed(request.remote_addr, digest)
        raise TokenRefused(is_given=True)
    failed.note_good(digest)
    return user


def requester() -> User:
    """Whose token this request brought."""
    return cast("User", g.requester)


def is_still_let_in() -> Callable[[], bool]:
    """What tells, long after the request, whether its token opens anything still; where nobody knows, it does."""
    digest, database = g.digest, commands().engine.database

    def is_valid() -> bool:
        try:
            with database.glance() as tx:
                return user_of_token(tx, digest) is not None
        except OF_AN_OUTAGE:
            return True

    return is_valid


def commands() -> Commands:
    """What the service can be asked for."""
    return cast("Commands", current_app.extensions["commands"])
