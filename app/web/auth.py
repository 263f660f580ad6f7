"""Who is asking: the bearer token of a request, and the limit on tokens that open nothing."""

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

#: Tokens that are remembered to have opened something, by their digests.
_REMEMBERED: Final = 10_000
#: The bits of an IPv6 address that tell one customer of a network from another; the others are theirs to vary.
_NETWORK: Final = 64


class FailedTokens:
    """Counts the tokens that opened nothing, by the address they came from."""

    def __init__(self, per_minute: int) -> None:
        self._limit = RateLimitItemPerMinute(per_minute)
        # Fixed windows: with moving ones, the storage would remember every address for ever.
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._good: OrderedDict[str, None] = OrderedDict()
        self._changing = threading.Lock()

    def demand_place(self, address: str | None, digest: str) -> None:
        """Let a token be looked up. Raises TooManyFailedTokens."""
        if digest not in self._good and not self._limiter.test(self._limit, network_of(address)):
            reset = self._limiter.get_window_stats(self._limit, network_of(address)).reset_time
            raise TooManyFailedTokens(max(1, math.ceil(reset - clock.now())))

    def note_good(self, digest: str) -> None:
        """Remember that a token opened something; it takes nothing from what failed."""
        if digest in self._good:
            return
        with self._changing:
            self._good[digest] = None
            while len(self._good) > _REMEMBERED:
                self._good.popitem(last=False)

    def note_failed(self, address: str | None, digest: str) -> None:
        """Count a token that opened nothing; one that was revoked is remembered no more."""
        with self._changing:
            self._good.pop(digest, None)
        self._limiter.hit(self._limit, network_of(address))


def network_of(address: str | None) -> str:
    """What counts as one address: an IPv4 address, or the network of an IPv6 address; anything else as it stands."""
    try:
        known = ip_address(address or "")
    except ValueError:
        return address or ""
    if isinstance(known, IPv6Address):
        return str(known.ipv4_mapped or int(known) >> _NETWORK)
    return str(known)


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


def is_token_valid() -> Callable[[], bool]:
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
