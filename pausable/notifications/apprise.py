"""Slack, mail, chat and more: every service that Apprise speaks to (github.com/caronc/apprise lists their URLs)."""

from __future__ import annotations

import logging
import re
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import apprise

from pausable.errors import AddressMalformed, NotDelivered
from pausable.notifications.base import Channel, scheme_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pausable.notifications.base import Message

#: A part of an address that may be a word of its own in what a service says.
_SHORTEST: Final = 3
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its plugins try modules that newer Pythons lack
    #: The schemes of all services; asking for them loads the plugins.
    _SCHEMES: Final = frozenset(apprise.plugins.N_MGR.schemas())  # type: ignore[no-untyped-call]
_KINDS: Final = {
    "Success": apprise.NotifyType.SUCCESS,
    "Failed": apprise.NotifyType.FAILURE,
    "TriggerFailed": apprise.NotifyType.FAILURE,
    "Retrying": apprise.NotifyType.WARNING,
    "Cancelled": apprise.NotifyType.WARNING,
}


class Apprise(Channel):
    """Delivers by whichever service the URL names."""

    def deliver(self, address: str, message: Message, seconds: float) -> None:  # noqa: ARG002
        """Deliver one message. A service that lets its time pass is left to the caller: Apprise cannot be cut short."""
        service = _service(address)
        kind = _KINDS.get(str(message.facts["state"]), apprise.NotifyType.INFO)
        with _listening() as said:
            try:
                is_sent = service.notify(body=message.text, title="", notify_type=kind)
            except Exception as why:
                raise NotDelivered(f"the service failed ({type(why).__name__})") from None
        if not is_sent:
            raise NotDelivered(_without(address, " ".join(said)) or "the service refused it")

    def name_of(self, address: str) -> str:
        """The scheme alone: what follows it may be a token, also where a host would be."""
        return f"{scheme_of(address)}://"


def check(address: str) -> None:
    """Raise AddressMalformed when Apprise knows no service for the address, or misses something in it."""
    with _listening():
        _service(address)


def _service(address: str) -> apprise.NotifyBase:
    scheme = scheme_of(address)
    if scheme not in _SCHEMES:
        raise AddressMalformed(f"no service is known for addresses that begin with {scheme}://")
    # A redirect would lead where nobody has looked.
    asset = apprise.AppriseAsset(app_id="operations", http_redirects=False, secure_logging=True)
    try:
        service = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=False)
    except Exception:  # the plugins of a hundred services are nobody's to vouch for, and their words show the address
        service = None
    if service is None:
        raise AddressMalformed(f"the address lacks something that {scheme}:// needs")
    return service


_said: ContextVar[list[str] | None] = ContextVar("apprise_said", default=None)


class _Aside(logging.Filter):
    """Keeps out of the log what is said during a delivery, which shows addresses, and keeps the warnings of it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be logged."""
        said = _said.get()
        if said is not None and record.levelno >= logging.WARNING and record.name == apprise.logger.name:
            said.append(record.getMessage())
        return said is None


for _name in (apprise.logger.name, "urllib3.connectionpool", "requests_oauthlib.oauth1_auth", "charset_normalizer"):
    logging.getLogger(_name).addFilter(_Aside())


@contextmanager
def _listening() -> Iterator[list[str]]:
    said: list[str] = []
    token = _said.set(said)
    try:
        yield said
    finally:
        _said.reset(token)


def _without(address: str, words: str) -> str:
    """The words without any part of the address but its scheme: each may be a token."""
    parts = re.split(r"[^\w.+-]+", unquote(address.partition("://")[2])) + re.split(r"\W+", address)
    secret = sorted({part for part in parts if len(part) >= _SHORTEST} - {scheme_of(address)}, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, secret)), "***", words) if secret else words
