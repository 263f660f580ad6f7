"""The limit on tokens that open nothing: so many a minute from one address, then 429, and nothing more is looked up.

It is kept in the memory of the web process. A token that has opened something in this process goes on doing so whatever
comes from its address: who shares an address with somebody that guesses is not shut out.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from typing import Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from app import clock
from app.errors import TooManyFailedTokens

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
