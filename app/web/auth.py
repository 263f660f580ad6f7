"""Authentication: the bearer token of a request, and the limit on failed tokens."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final, cast

from flask import current_app, g, request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from pausable import clock
from pausable.db.database import OF_AN_OUTAGE
from pausable.db.users import digest_of, user_of_token
from pausable.errors import TokenRefused, TooManyFailedTokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from pausable.db.users import User
    from pausable.service.operations import Commands

#: Maximum digests of valid tokens to remember.
_REMEMBERED: Final = 10_000
#: Prefix length of an IPv6 address that identifies a customer; the other bits are theirs to vary.
_NETWORK: Final = 64


class FailedTokens:
    """Counts failed tokens by client address."""

    def __init__(self, per_minute: int) -> None:
        self._limit = RateLimitItemPerMinute(per_minute)
        # Fixed windows: with moving ones, the storage would remember every address forever.
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._good: OrderedDict[str, None] = OrderedDict()
        self._changing = threading.Lock()

    def demand_place(self, address: str | None, digest: str) -> None:
        """Raise TooManyFailedTokens if no token may be looked up for this address."""
        if digest not in self._good and not self._limiter.test(self._limit, network_of(address)):
            reset = self._limiter.get_window_stats(self._limit, network_of(address)).reset_time
            raise TooManyFailedTokens(max(1, math.ceil(reset - clock.now())))

    def note_good(self, digest: str) -> None:
        """Remember a valid token, which does not count against the limit."""
        if digest in self._good:
            return
        with self._changing:
            self._good[digest] = None
            while len(self._good) > _REMEMBERED:
                self._good.popitem(last=False)

    def note_failed(self, address: str | None, digest: str) -> None:
        """Count a failed token; a revoked one is no longer remembered as valid."""
        with self._changing:
            self._good.pop(digest, None)
        self._limiter.hit(self._limit, network_of(address))


def network_of(address: str | None) -> str:
    """Return what counts as one client: an IPv4 address, or the network of an IPv6 address; else the text itself."""
    try:
        known = ip_address(address or "")
    except ValueError:
        return address or ""
    if isinstance(known, IPv6Address):
        return str(known.ipv4_mapped or int(known) >> _NETWORK)
    return str(known)


def demand_token() -> None:
    """Require a valid token, and store its user for the request.

    Raises:
        TokenRefused: There is none, or it is not valid.
        TooManyFailedTokens: Too many failed tokens came from the same address.
    """
    scheme, _, token = request.environ.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise TokenRefused(is_given=False)
    g.requester, g.digest = user_of(token.strip()), digest_of(token.strip())


def user_of(token: str) -> User:
    """Return the user of a token. Raise TokenRefused or TooManyFailedTokens."""
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
    """Return the user of this request."""
    return cast("User", g.requester)


def is_token_valid() -> Callable[[], bool]:
    """Return a callable that checks whether the token is still valid; it is if the database is unreachable."""
    digest, database = g.digest, commands().engine.database

    def is_valid() -> bool:
        try:
            with database.glance() as tx:
                return user_of_token(tx, digest) is not None
        except OF_AN_OUTAGE:
            return True

    return is_valid


def commands() -> Commands:
    """Return the commands of the service."""
    return cast("Commands", current_app.extensions["commands"])
