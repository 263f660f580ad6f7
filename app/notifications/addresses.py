"""Which way an address leads: a plain webhook of ours, or one of the services that Apprise knows."""

from __future__ import annotations

import re
from typing import Final

from app.errors import AddressMalformed

#: The schemes of plain webhooks; every other one is Apprise's.
WEBHOOKS: Final = ("http", "https")

_URL: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9+.-]*)://[^\s\x00-\x1f\x7f]+")


def checked_address(address: str) -> str:
    """The address without the space around it. Raises AddressMalformed when nothing could ever be sent to it."""
    address = address.strip()
    scheme = scheme_of(address)
    if scheme not in WEBHOOKS:
        from app.notifications.apprise import check  # a service of 300 modules is not loaded for nothing

        check(address)
    return address


def scheme_of(address: str) -> str:
    """The scheme of a URL in lower case. Raises AddressMalformed for anything that is no URL."""
    found = _URL.fullmatch(address)
    if found is None:
        raise AddressMalformed("the address is no URL such as https://host/path or slack://token")
    return found[1].lower()
