"""Slack, mail, chat and more: all services supported by Apprise (github.com/caronc/apprise lists their URLs)."""

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

#: A part of an address that may also be an ordinary word in a service's reply.
_SHORTEST: Final = 3
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Apprise's plugins import modules that newer Pythons lack
    #: The schemes of all services; listing them loads the plugins.
    _SCHEMES: Final = frozenset(apprise.plugins.N_MGR.schemas())  # type: ignore[no-untyped-call]
_KINDS: Final = {
    "Success": apprise.NotifyType.SUCCESS,
    "Failed": apprise.NotifyType.FAILURE,
    "TriggerFailed": apprise.NotifyType.FAILURE,
    "Retrying": apprise.NotifyType.WARNING,
    "Cancelled": apprise.NotifyType.WARNING,
}


class Apprise(Channel):
    """Delivers through the service that the URL names."""

    def deliver(self, address: str, message: Message, seconds: float) -> None:  # noqa: ARG002
        """Deliver one message. Apprise has no timeout that cuts off a delivery: the caller abandons one that hangs."""
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
        """Return the scheme only: anything behind it may be a token, even in place of a host."""
        return f"{scheme_of(address)}://"


def check(address: str) -> None:
    """Raise AddressMalformed if Apprise knows no service for the address, or a part of it is missing."""
    with _listening():
        _service(address)


def _service(address: str) -> apprise.NotifyBase:
    scheme = scheme_of(address)
    if scheme not in _SCHEMES:
        raise AddressMalformed(f"Apprise has no service for {scheme}:// addresses")
    # Disable redirects, whose destination was not checked.
    asset = apprise.AppriseAsset(app_id="operations", http_redirects=False, secure_logging=True)
    try:
        service = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=False)
    except Exception:  # a plugin may raise anything, and its message may contain the address
        service = None
    if service is None:
        raise AddressMalformed(f"the {scheme}:// address is incomplete")
    return service


_said: ContextVar[list[str] | None] = ContextVar("apprise_said", default=None)


class _Aside(logging.Filter):
    """Suppresses log records during a delivery, which contain addresses, and collects its warnings."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log the record."""
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
    """Return the text with every part of the address masked except its scheme: each may be a token."""
    parts = re.split(r"[^\w.+-]+", unquote(address.partition("://")[2])) + re.split(r"\W+", address)
    secret = sorted({part for part in parts if len(part) >= _SHORTEST} - {scheme_of(address)}, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, secret)), "***", words) if secret else words
